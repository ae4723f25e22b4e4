import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray

from tests.tolerances import SCORE_DIGITS
from train.metrics import psnr, ssim, vmaf


def planes(height: int = 64, width: int = 96) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A plane with structure, and a noisier one."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    original = 128 + 60 * np.sin(y / 9) + 40 * np.cos(x / 7)
    noisy = original + rng.normal(0, 6, original.shape)
    return original.clip(0, 255).astype(np.uint8), noisy.clip(0, 255).astype(np.uint8)


def test_psnr_is_that_of_the_mean_squared_error() -> None:
    plane = np.full((4, 4), 100, np.uint8)
    assert psnr(plane + 1, plane) == pytest.approx(48.1308, abs=SCORE_DIGITS)
    assert psnr(plane + 10, plane) == pytest.approx(28.1308, abs=SCORE_DIGITS)
    assert psnr(plane, plane + 10) == pytest.approx(28.1308, abs=SCORE_DIGITS)
    assert psnr(plane, plane) == float("inf")


def test_ssim_is_the_mean_of_equation_13_in_a_gaussian_window() -> None:
    original, noisy = planes(24, 30)
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for top in range(24 - 10):
        for left in range(30 - 10):
            x, y = (plane[top : top + 11, left : left + 11].astype(float) for plane in (noisy, original))
            mean_x, mean_y = (window * x).sum(), (window * y).sum()
            variance_x, variance_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
            covariance = (window * (x - mean_x) * (y - mean_y)).sum()
            c1, c2 = 2.55**2, 7.65**2
            luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
            values.append(luminance * (2 * covariance + c2) / (variance_x + variance_y + c2))
    assert ssim(noisy, original) == pytest.approx(np.mean(values), abs=1e-12)
    assert ssim(noisy, original) < 0.95
    assert ssim(original, original) == pytest.approx(1, abs=1e-12)


def test_ssim_is_that_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    original = rng.integers(0, 255, (100, 130), dtype=np.uint8)
    other = (original * 0.7 + rng.integers(0, 60, original.shape)).astype(np.uint8)
    # structural_similarity(..., data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False) of 0.26
    assert ssim(original, other) == pytest.approx(0.9034501971231277, abs=1e-12)


def test_ssim_needs_a_window_and_one_size() -> None:
    for shape, other in (((10, 40), (10, 40)), ((20, 20), (20, 21))):
        with pytest.raises(ValueError, match="SSIM needs one size"):
            ssim(np.zeros(shape, np.uint8), np.zeros(other, np.uint8))


def test_vmaf_is_what_ffmpeg_measures_for_two_files(tmp_path: Path) -> None:
    original, noisy = planes()
    frames, originals = [original, noisy, noisy[:, ::-1]], [original, original, original[:, ::-1]]
    for name, lumas in (("a", frames), ("b", originals)):
        chroma = np.full(original.size // 2, 77, np.uint8).tobytes()
        header = f"YUV4MPEG2 W{original.shape[1]} H{original.shape[0]} F25:1 Ip C420jpeg\n".encode()
        data = header + b"".join(b"FRAME\n" + luma.tobytes() + chroma for luma in lumas)
        (tmp_path / f"{name}.y4m").write_bytes(data)
    scores = vmaf(frames, originals, stills=False)
    for model, mine in (("vmaf_v0.6.1", [s.vmaf for s in scores]), ("vmaf_v0.6.1neg", [s.neg for s in scores])):
        argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", "a.y4m", "-i", "b.y4m"]
        argv += ["-lavfi", f"libvmaf=model=version={model}", "-f", "null", "-"]
        log = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True).stderr
        found = re.search(r"VMAF score: ([\d.]+)", log)
        assert found
        assert np.mean(mine) == pytest.approx(float(found[1]), abs=1e-5)


def test_stills_are_scored_each_by_itself() -> None:
    original, noisy = planes()
    alone = [vmaf([noisy], [original], stills=True)[0], vmaf([noisy.T[::-1].T], [original.T[::-1].T], stills=True)[0]]
    frames, originals = [noisy, np.flipud(255 - noisy), noisy], [original, np.flipud(255 - original), original]
    assert vmaf(frames, originals, stills=True)[0] == vmaf(frames, originals, stills=True)[2] == alone[0]
    # As video the cut in between counts as motion, which hides errors.
    assert vmaf(frames, originals, stills=False)[1].vmaf > vmaf(frames, originals, stills=True)[1].vmaf + 1


def test_sharpening_gains_vmaf_but_less_vmaf_neg() -> None:
    original, _ = planes()
    blurred = (0.5 * original + 0.25 * (np.roll(original, 1, 1).astype(float) + np.roll(original, -1, 1))).astype(
        np.uint8
    )
    sharper = np.clip(128 + 1.2 * (original.astype(float) - 128), 0, 255).astype(np.uint8)
    plain, sharp = vmaf([blurred, sharper], [original, original], stills=True)
    assert sharp.vmaf > sharp.neg + 1
    assert abs(plain.vmaf - plain.neg) < abs(sharp.vmaf - sharp.neg)


def test_what_libvmaf_cannot_score_is_an_error() -> None:
    tiny = np.zeros((2, 2), np.uint8)
    with pytest.raises(vs.Error, match="VMAF and SSIM take pictures of 17x17 pixels or more"):
        vmaf([tiny], [tiny], stills=True)
