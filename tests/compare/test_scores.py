"""Figures of every frame against other implementations, cuts, and what cannot be compared."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs
from PIL import Image

from tests.helpers.films import Studio, frames_of
from vs_srcomp.compare import candidate_from_file, made_candidates
from vs_srcomp.compare.scores import METRICS, Measured, Scenes, Track, detail_of, measure
from vs_srcomp.quality import measure as whole

NAMES = ("vmaf-neg", "vmaf", "psnr", "ssim")


def silent(what: str, done: int, total: int) -> None:
    """Show no progress."""


@pytest.fixture(scope="module")
def measured(good: Path, bad: Path, original: Path) -> Measured:
    sides = [candidate_from_file(path) for path in (good, bad)]
    return measure(sides, candidate_from_file(original), NAMES, threads=1, progress=silent)


def test_psnr_of_each_frame_is_that_of_its_definition(measured: Measured, bad: Path, original: Path) -> None:
    for ours, theirs, found in zip(frames_of(bad), frames_of(original), measured.tracks[1].scores["psnr"], strict=True):
        height = theirs.height
        difference = ours.to_ndarray()[:height].astype(float) - theirs.to_ndarray()[:height]
        assert found == pytest.approx(10 * math.log10(255**2 / np.mean(difference**2)))


def test_pictures_in_rgb_are_compared_in_luma(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    wanted = rng.integers(20, 220, (64, 80, 3), np.uint8)
    Image.fromarray(wanted).save(tmp_path / "original.png")
    Image.fromarray(wanted + np.uint8(10)).save(tmp_path / "brighter.png")
    side, reference = (candidate_from_file(tmp_path / name) for name in ("brighter.png", "original.png"))
    found = measure([side], reference, ("psnr",), threads=1, progress=silent).tracks[0].scores["psnr"]
    # Ten codes of full range are 219 / 255 as many of limited range.
    assert found == [pytest.approx(20 * math.log10(255 / (10 * 219 / 255)), abs=0.01)]


def test_means_are_those_of_a_batch(measured: Measured, bad: Path, original: Path) -> None:
    batch = whole.measure(bad, original)
    mean = {metric.name: measured.total(measured.tracks[1], metric) for metric in measured.metrics}
    assert mean["psnr"] == pytest.approx(batch.psnr_y)
    assert mean["vmaf"] == pytest.approx(batch.vmaf, abs=1e-4)
    assert mean["ssim"] == pytest.approx(batch.ssim, abs=1e-5)
    assert [metric.name for metric in measured.metrics] == ["vmaf-neg", "vmaf", "psnr", "ssim"]


def test_vmaf_neg_is_what_ffmpeg_measures_for_the_two_files(
    measured: Measured, studio: Studio, bad: Path, original: Path
) -> None:
    graph = "[0:v][1:v]libvmaf=model=version=vmaf_v0.6.1neg:log_fmt=csv:log_path=neg.csv"
    studio.make("-i", str(bad), "-i", str(original), "-lavfi", graph, "-f", "null", "-")
    lines = [line.split(",") for line in (studio.folder / "neg.csv").read_text().splitlines()]
    wanted = [float(line[lines[0].index("vmaf")]) for line in lines[1:]]
    assert measured.tracks[1].scores["vmaf-neg"] == pytest.approx(wanted, abs=1e-4)


def test_ssimulacra2_ranks_the_better_above_the_worse(good: Path, bad: Path, original: Path) -> None:
    if not hasattr(vs.core, "vszip"):
        pytest.skip("vapoursynth-vszip is not installed")
    sides = [candidate_from_file(path) for path in (original, good, bad)]
    found = measure(sides, candidate_from_file(original), ["ssimulacra2"], threads=1, progress=silent)
    same, better, worse = (np.array(track.scores["ssimulacra2"], float) for track in found.tracks)
    assert same == pytest.approx(100, abs=0.1)
    assert (better > worse).all()
    assert (better < 100).all()


def test_equal_pictures_have_no_finite_psnr(original: Path) -> None:
    sides = [candidate_from_file(original, "a")]
    found = measure(sides, candidate_from_file(original), ["psnr"], threads=1, progress=silent)
    assert found.tracks[0].scores["psnr"] == [None] * 24
    (metric,) = found.metrics
    assert found.total(found.tracks[0], metric) is None
    assert found.worst(found.tracks[0], metric) is None


def test_the_worst_percentile_is_what_one_frame_in_a_hundred_falls_short_of() -> None:
    (psnr,) = (metric for metric in METRICS if metric.name == "psnr")
    track = Track({"psnr": [float(value) for value in range(1000, 0, -1)]})
    measured = Measured(times=[0.0] * 1000, cuts=[0], detail=[], tracks=[track], metrics=(psnr,), peak=255, samples=1)
    assert measured.worst(track, psnr) == pytest.approx(10, abs=1)


def test_cuts_are_where_ffmpeg_finds_them(studio: Studio, measured: Measured, original: Path) -> None:
    studio.make(
        *("-i", str(original), "-vf", "scdet=threshold=10,metadata=print:key=lavfi.scd.time:file=cuts.txt"),
        *("-f", "null", "-"),
    )
    lines = (studio.folder / "cuts.txt").read_text().splitlines()
    frames = [round(float(line.partition("=")[2]) * 25) for line in lines if line.startswith("lavfi.scd.time")]
    assert measured.cuts == [0, *frames]
    assert frames == [10]


def test_motion_is_no_cut() -> None:
    scenes = Scenes()
    ramp = np.tile(np.arange(256, dtype=np.uint16), (16, 1))
    for shift in range(0, 120, 12):
        scenes.add(np.roll(ramp, shift, axis=1) * 4, 10)
    assert scenes.cuts == [0]


def test_detail_is_the_same_in_any_depth() -> None:
    luma = np.random.default_rng(1).integers(0, 256, (32, 32)).astype(np.uint16)
    assert detail_of(luma, 8) == pytest.approx(detail_of(luma * 4, 10))
    assert detail_of(np.full((8, 8), 7, np.uint8), 8) == 0


def test_detail_of_a_single_row_or_column_is_that_along_it() -> None:
    row = np.array([[10, 14, 12]], np.uint8)
    assert detail_of(row, 8) == detail_of(row.T, 8) == 3
    assert detail_of(row[:, :1], 8) == 0


def test_levels_are_those_of_the_frames(studio: Studio, original: Path) -> None:
    coded = studio.make("-i", str(original), "-c:v", "libsvtav1", "-preset", "12", "-crf", "40", "coded.mkv")
    found = measure([candidate_from_file(coded)], candidate_from_file(original), ["psnr"], threads=1, progress=silent)
    levels = [level for level in found.tracks[0].q if level is not None]
    assert len(levels) == 24
    assert 20 < np.mean(levels) < 60


def test_depths_are_brought_to_the_deepest(studio: Studio, good: Path, original: Path) -> None:
    deep = studio.make("-i", str(original), "-vf", "format=yuv420p10le", "-c:v", "ffv1", "deep.mkv")
    found = measure([candidate_from_file(good)], candidate_from_file(deep), ["psnr"], threads=1, progress=silent)
    plain = measure([candidate_from_file(good)], candidate_from_file(original), ["psnr"], threads=1, progress=silent)
    assert found.peak == 255 * 4
    assert found.tracks[0].scores["psnr"] == pytest.approx(plain.tracks[0].scores["psnr"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-frames:v", "20"), "short has 20 frames, but original has 24"),
        (("-vf", "scale=160:90"), "short has 160x90 pixels, but original has 320x180"),
        (("-vf", r"settb=1/1000,setpts=PTS+15*eq(N\,3)", "-fps_mode", "passthrough"), "frame 3 of short is shown"),
    ],
)
def test_what_does_not_match_is_refused(studio: Studio, original: Path, options: tuple[str, ...], message: str) -> None:
    short = studio.make("-i", str(original), *options, "-c:v", "ffv1", "-enc_time_base", "1:1000", "short.mkv")
    with pytest.raises(vs.Error, match=message) as refusal:
        measure([candidate_from_file(short)], candidate_from_file(original), ["psnr"], threads=1, progress=silent)
    assert str(refusal.value).splitlines()[-1].startswith("compare files")


def test_without_a_reference_networks_do_not_run(good: Path) -> None:
    lanczos, restored = made_candidates(good, ["light"])
    never = replace(restored, clip=restored.clip.std.FrameEval(lambda n: pytest.fail(f"frame {n} was made")))
    found = measure([lanczos, never], None, NAMES, threads=1, progress=silent)
    assert len(found.times) == 24
    assert found.tracks[1].q == found.tracks[0].q


def test_without_a_reference_times_must_be_equal_too(good: Path, studio: Studio) -> None:
    slow = studio.make("-r", "12.5", "-i", str(good), "-frames:v", "24", "-c:v", "ffv1", "slow.mkv")
    with pytest.raises(vs.Error, match=r"frame 1 of slow is shown 0\.0800 s after the first, that of good"):
        measure([candidate_from_file(good), candidate_from_file(slow)], None, NAMES, threads=1, progress=silent)


def test_without_a_reference_there_are_cuts_and_detail(good: Path, bad: Path) -> None:
    steps = []
    found = measure(
        [candidate_from_file(good), candidate_from_file(bad)],
        None,
        NAMES,
        threads=1,
        progress=lambda *step: steps.append(step),
    )
    assert found.metrics == ()
    assert found.cuts == [0, 10]
    assert len(found.detail) == len(found.times) == 24
    assert steps[-1] == ("looking for detail", 24, 24)
    assert Fraction(found.times[1]).limit_denominator(1000) == Fraction(1, 25)


def test_a_metric_whose_plugin_is_missing_is_an_error_that_names_it(
    good: Path, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vs_srcomp.compare.scores.metrics_there", lambda: ("psnr",))
    with pytest.raises(vs.Error, match=r'SSIMULACRA 2 needs the plugin vszip\npip install "vs-srcomp\[compare\]"'):
        measure([candidate_from_file(good)], candidate_from_file(original), ["ssimulacra2"], threads=1, progress=silent)
