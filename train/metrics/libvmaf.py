"""VMAF and VMAF-NEG of 8-bit planes, by the libvmaf inside FFmpeg."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.metrics.fidelity import Plane


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
    import imageio_ffmpeg  # Other metrics work without it.

    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-f", "rawvideo"]
    argv += ["-pix_fmt", "yuv420p", "-video_size", f"{width}x{2 * height}", "-framerate", "25", "-i", "pipe:0"]
    argv += ["-filter_complex", graph, "-f", "null", "-"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(argv, input=raw, capture_output=True, check=False, cwd=folder)
        if done.returncode:
            raise RuntimeError(f"libvmaf failed: {done.stderr.decode(errors='replace').strip()}")
        log = json.loads((Path(folder) / "log.json").read_text("utf-8"))
    return [Vmaf(frame["metrics"]["vmaf"], frame["metrics"]["neg"]) for frame in log["frames"]]
