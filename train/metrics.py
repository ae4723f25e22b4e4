"""How near a restored luma plane is to the original: PSNR, SSIM, VMAF and VMAF-NEG of 8-bit planes."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from train.material.pictures import Plane

PEAK = 255


def psnr(luma: Plane, original: Plane) -> float:
    """Peak signal-to-noise ratio of two 8-bit planes of one size, in dB; infinite if they are the same."""
    error = float(np.mean((luma.astype(np.float64) - original) ** 2))
    return float(10 * np.log10(PEAK**2 / error)) if error else float("inf")


def ssim(luma: Plane, original: Plane) -> float:
    """Structural similarity of two 8-bit planes of one size, 1 if they are the same.

    As in Wang et al., "Image quality assessment: from error visibility to structural similarity" (2004), eq. 13: an
    11x11 Gaussian window of deviation 1.5, K1 = 0.01, K2 = 0.03, peak 255; the mean over every place where the whole
    window lies inside the picture. No downsampling before.

    Raises:
        ValueError: The planes are smaller than the window, or of different sizes.
    """
    if luma.shape != original.shape or min(luma.shape) < len(_WINDOW):
        raise ValueError(f"{luma.shape} and {original.shape}: SSIM needs one size of {len(_WINDOW)}x{len(_WINDOW)} up")
    x, y = (plane.astype(np.float64) for plane in (luma, original))
    mean_x, mean_y, square_x, square_y, product = (_windowed(plane) for plane in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    variances = square_x - mean_x**2 + square_y - mean_y**2
    covariance = product - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2) / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))
    return float(similarity.mean())


_WINDOW = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
_WINDOW /= _WINDOW.sum()


def _windowed(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean in the window around each place that it fits: the Gaussian is separable."""
    return _down_the_rows(_down_the_rows(plane).T).T


def _down_the_rows(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    length = len(plane) - len(_WINDOW) + 1
    total = np.zeros((length, plane.shape[1]))
    for offset, weight in enumerate(_WINDOW):
        total += weight * plane[offset : offset + length]
    return total


@dataclass(frozen=True)
class Vmaf:
    """Both scores of a frame, 0 to 100."""

    vmaf: float
    """Model vmaf_v0.6.1."""
    neg: float
    """Model vmaf_v0.6.1neg, which gives nothing for sharpening ("no enhancement gain")."""


def vmaf(frames: Sequence[Plane], originals: Sequence[Plane], *, stills: bool) -> list[Vmaf]:
    """VMAF and VMAF-NEG of each frame, by the libvmaf inside FFmpeg.

    Args:
        frames: 8-bit luma planes of one size, both sides even.
        originals: As many planes of that size.
        stills: The frames are not consecutive: the motion feature is held at 0, as it is for a clip's first frame.

    Raises:
        RuntimeError: libvmaf failed; the message is its own.
    """
    height, width = originals[0].shape
    # libvmaf takes no plain luma. Neutral chroma goes in, which neither model looks at.
    chroma = np.full(height * width, 128, np.uint8).tobytes()
    raw = b"".join(
        b"".join((np.ascontiguousarray(frame), np.ascontiguousarray(original), chroma))
        for frame, original in zip(frames, originals, strict=True)
    )
    still = r"\:motion.motion_force_zero=true" if stills else ""
    models = rf"version=vmaf_v0.6.1\:name=vmaf{still}|version=vmaf_v0.6.1neg\:name=neg{still}"
    # Both pictures come as one, the restored above the original, so that one pipe will do.
    graph = (
        "split[a][b];[a]crop=iw:ih/2:0:0[restored];[b]crop=iw:ih/2:0:ih/2[original];"
        f"[restored][original]libvmaf=model='{models}':log_fmt=json:log_path=log.json"
    )
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-f", "rawvideo"]
    argv += ["-pix_fmt", "yuv420p", "-video_size", f"{width}x{2 * height}", "-framerate", "25", "-i", "pipe:0"]
    argv += ["-filter_complex", graph, "-f", "null", "-"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(argv, input=raw, capture_output=True, check=False, cwd=folder)
        if done.returncode:
            raise RuntimeError(f"libvmaf failed: {done.stderr.decode(errors='replace').strip()}")
        log = json.loads((Path(folder) / "log.json").read_text("utf-8"))
    return [Vmaf(frame["metrics"]["vmaf"], frame["metrics"]["neg"]) for frame in log["frames"]]
