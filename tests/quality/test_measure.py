"""PSNR, SSIM and VMAF against other implementations, and errors of files that cannot be compared."""

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray

from tests.helpers.films import Studio, frames_of
from vs_srcomp.progress import CancelledError
from vs_srcomp.quality import libvmaf
from vs_srcomp.quality.luma import comparable, psnr, squared_error
from vs_srcomp.quality.measure import measure


@pytest.fixture(scope="module")
def reference(studio: Studio) -> Path:
    # The second picture of a pair must not begin right where the first one ends: 129 is odd.
    crop = ("-pix_fmt", "yuv444p", "-vf", "format=yuv444p,crop=193:129")
    return studio.picture("metrics-reference.mkv", "-c:v", "ffv1", *crop, size="200x140")


@pytest.fixture(scope="module")
def coarse(studio: Studio, reference: Path) -> Path:
    return studio.make("-i", str(reference), "-c:v", "libx264", "-crf", "40", "-bf", "2", "metrics-coarse.mp4")


def lumas(path: Path) -> NDArray[np.float64]:
    # In 4:4:4, PyAV gives the planes one after another.
    return np.stack([frame.to_ndarray()[0].astype(np.float64) for frame in frames_of(path)])


def ssim_by_its_paper(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Wang et al. 2004: an 11x11 Gaussian window of standard deviation 1.5, only where it lies in the picture."""
    kernel = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()

    def blurred(picture: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = np.lib.stride_tricks.sliding_window_view(picture, 11, axis=0) @ kernel
        blurred_both: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(rows, 11, axis=1) @ kernel
        return blurred_both

    mx, my = blurred(x), blurred(y)
    vx, vy, cxy = blurred(x * x) - mx * mx, blurred(y * y) - my * my, blurred(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * mx * my + c1) * (2 * cxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


def test_psnr_and_ssim_are_those_of_their_definitions(reference: Path, coarse: Path) -> None:
    before, after = lumas(reference), lumas(coarse)
    found = measure(coarse, reference)
    assert found.frames == 10
    assert found.psnr_y == pytest.approx(10 * math.log10(255**2 / np.mean((before - after) ** 2)), rel=1e-12)
    by_frame = [ssim_by_its_paper(x, y) for x, y in zip(before, after, strict=True)]
    assert found.ssim == pytest.approx(np.mean(by_frame), abs=2e-4)
    assert found.ssim < 0.98


def test_vmaf_is_what_ffmpeg_measures_for_the_two_files(studio: Studio, reference: Path, coarse: Path) -> None:
    studio.make(
        *("-i", str(coarse), "-i", str(reference)),
        *("-lavfi", "[0:v]settb=AVTB[a];[1:v]settb=AVTB[b];[a][b]libvmaf=log_fmt=csv:log_path=vmaf.csv"),
        *("-f", "null", "-"),
    )
    lines = [line.split(",") for line in (studio.folder / "vmaf.csv").read_text().splitlines()]
    scores = [float(line[lines[0].index("vmaf")]) for line in lines[1:]]
    found = measure(coarse, reference)
    assert len(scores) == 10
    assert found.vmaf == pytest.approx(np.mean(scores), abs=1e-4)
    assert 5 < found.vmaf < 99


def test_a_file_equals_itself_in_any_depth(studio: Studio, reference: Path, coarse: Path) -> None:
    found = measure(reference, reference)
    assert (found.psnr_y, found.ssim) == (math.inf, 1)
    # A shift, where FFmpeg's own conversion would do the same; what is measured must not notice.
    deep = studio.make("-i", str(reference), "-vf", "format=yuv444p10le", "-c:v", "ffv1", "metrics-deep.mkv")
    assert measure(deep, reference).psnr_y == math.inf
    assert measure(coarse, deep).psnr_y == measure(coarse, reference).psnr_y
    assert measure(coarse, deep).ssim == pytest.approx(measure(coarse, reference).ssim, abs=1e-4)


def test_frames_are_matched_from_each_files_first_on(studio: Studio, reference: Path) -> None:
    late = studio.make("-itsoffset", "0.5", "-i", str(reference), "-c", "copy", "metrics-late.mkv")
    assert measure(late, reference).psnr_y == math.inf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-frames:v", "9"), r"has 9 frames, but the reference metrics-reference\.mkv has 10"),
        (("-vf", "scale=192:128"), r"is 192x128, but the reference metrics-reference\.mkv is 193x129"),
        (
            (
                "-vf",
                r"settb=1/1000,setpts=PTS+0.02*eq(N\,3)/TB",
                "-fps_mode",
                "passthrough",
                "-enc_time_base",
                "1:1000",
            ),
            r"frame 3 of .* is shown 0\.1400 s after the first, that of .* 0\.1200 s",
        ),
    ],
)
def test_what_does_not_match_is_refused(
    studio: Studio, reference: Path, options: tuple[str, ...], message: str
) -> None:
    other = studio.make("-i", str(reference), *options, "-c:v", "ffv1", "metrics-other.mkv")
    with pytest.raises(vs.Error, match=message) as refusal:
        measure(other, reference)
    assert str(refusal.value).splitlines()[-1].startswith(("give a reference", "compare files"))


def test_a_missing_package_is_an_error_that_states_how_to_install_it(
    reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(vs.Error, match=r"pip install 'vs-srcomp\[metrics\]'"):
        measure(reference, reference)


def test_an_ffmpeg_without_libvmaf_is_an_error(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho \"No such filter: 'libvmaf'\" >&2\nexit 8\n")
    program.chmod(0o755)
    monkeypatch.setattr(libvmaf, "vmaf_program", lambda: str(program))
    with pytest.raises(vs.Error, match="VMAF failed: No such filter: 'libvmaf'"):
        measure(reference, reference)


@pytest.mark.parametrize("size", ["16x64", "64x16"])
def test_pictures_that_are_too_small_for_libvmaf_are_refused(size: str, studio: Studio) -> None:
    small = studio.picture("small-for-vmaf.mkv", "-c:v", "ffv1", size=size)
    with pytest.raises(vs.Error, match=f"17x17 pixels or more, not {size}\nmeasure without them: .*--metrics psnr"):
        measure(small, small)
    least = studio.picture("least-for-vmaf.mkv", "-c:v", "ffv1", "-pix_fmt", "gray", "-vf", "scale=17:17")
    assert measure(least, least).ssim == 1


def test_cancel_stops_at_the_next_frame(reference: Path) -> None:
    cancel = threading.Event()
    calls = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))
        cancel.set()

    with pytest.raises(CancelledError):
        measure(reference, reference, progress=progress, cancel=cancel)
    assert calls == [(1, 10)]


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
def test_a_picture_has_the_same_psnr_in_any_depth_and_range(bits: int, full: bool) -> None:
    """By values from 0 to 1, as ITU-T H.273 defines codes."""
    rng = np.random.default_rng(bits)
    plain = rng.integers(0, 256, (2, 60, 80))
    noisy = np.clip(plain + rng.integers(-6, 7, plain.shape), 0, 255)
    expected = 10 * math.log10(1 / np.mean((plain / 255 - noisy / 255) ** 2))
    deep = np.rint(noisy / 255 * ((1 << bits) - 1)) if full else np.rint((noisy / 255 * 219 + 16) * (1 << bits - 8))
    both = comparable([clip_of(deep, bits, full=full), clip_of(plain, 8, full=True)])
    squares = 0
    for ours, theirs in zip(*(clip.frames(close=True) for clip in both.clips), strict=True):
        squares += squared_error(np.asarray(ours[0]), np.asarray(theirs[0]))
    near = 0.2 if (bits, full) == (8, False) else 0.02  # codes of 8 bits in limited range are steps of 1.16
    assert psnr(squares, plain.size, both.peak) == pytest.approx(expected, abs=near)


def clip_of(codes: NDArray[Any], bits: int, *, full: bool) -> vs.VideoNode:
    blank = vs.core.std.BlankClip(
        format=vs.core.query_video_format(vs.GRAY, vs.INTEGER, bits).id, width=80, height=60, length=len(codes)
    )

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        filled = f.copy()
        np.copyto(np.asarray(filled[0]), codes[n].astype(np.uint8 if bits == 8 else np.uint16))
        filled.props["_Range"] = int(vs.RANGE_FULL if full else vs.RANGE_LIMITED)
        return filled

    return blank.std.ModifyFrame(blank, fill)


@pytest.mark.parametrize("to", ["out_range=full", "out_color_matrix=bt709", "out_range=full:out_color_matrix=bt2020"])
def test_other_ranges_and_matrices_are_converted(to: str, tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    options = ("-pix_fmt", "yuv444p10le", "-c:v", "ffv1")
    plain = studio.picture("plain.mkv", "-vf", "scale=out_range=limited:out_color_matrix=bt601", *options)
    other = studio.make("-i", str(plain), "-vf", f"scale={to}", *options, "other.mkv")
    for pair in ((plain, other), (other, plain)):
        # What is left is swscale's rounding; codes taken as they are have less than 30.
        assert measure(*pair).psnr_y > 40
