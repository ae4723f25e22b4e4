"""Rate and quality: points that are measured once, curves through them, and their report."""

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from train.__main__ import main
from train.rate import NATIVE, STILLS, Point, Points, coded_bytes, digest_of, measure, originals
from train.rate_report import (
    METRICS,
    _drawn,
    bjontegaard,
    crossings,
    curve,
    curves_of,
    gain,
    gain_table,
    interval,
    record,
    summary,
    tables,
)
from train.table import read_rows, write_rows

RATES = np.geomspace(0.02, 1.5, 8)
PSNR = METRICS[0]


def points(clip: str, ratio: str, method: str, *, rates: float = 1, gained: float = 0) -> list[Point]:
    """A clip whose PSNR rises by 6 dB when the rate doubles, at ``rates`` times the bits or ``gained`` dB more."""
    return [
        Point(STILLS, clip, ratio, level, method, rate * rates, 30 + 6 * np.log2(rate / 0.1) + gained, 50 + level)
        for level, rate in enumerate(RATES)
    ]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A folder with one picture of 192x128 with fine detail."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:128, :192]
    waves = sum(np.sin(x * rng.uniform(-1.5, 1.5) + y * rng.uniform(-1.5, 1.5)) for _ in range(30))
    luma = np.clip(128 + 12 * waves, 0, 255).astype(np.uint8)
    Image.fromarray(luma).save(folder / "waves.png")
    return folder


def test_a_point_for_each_stream_and_method_is_measured_once(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    found = measure(picture, None, work, ["light"], levels=(20, 50)).points
    assert len(found) == 2 * (1 + 3 * 2)
    by_key = {(point.ratio, point.level, point.method): point for point in found}
    native, small = by_key["1:1", 20, NATIVE], by_key["2:1", 20, "lanczos5"]
    assert native.bits_per_pixel > small.bits_per_pixel > by_key["2:1", 50, "light"].bits_per_pixel
    assert native.psnr_y > small.psnr_y
    (stream,) = (work / "streams" / "stills").glob("waves-*-1by1-20.ivf")
    assert native.bits_per_pixel == pytest.approx(8 * coded_bytes(stream) / (192 * 128), rel=1e-4)
    # A header of 32 bytes, and 12 before each frame.
    assert coded_bytes(stream) == stream.stat().st_size - 44
    again = read_rows(work / "points.csv", Point)
    assert [(point.ratio, point.level, point.method) for point in again] == list(by_key)

    def no_encoder(*_: object, **__: object) -> None:
        raise AssertionError("everything is measured already")

    monkeypatch.setattr(subprocess, "run", no_encoder)
    assert len(measure(picture, None, work, ["light"], levels=(20, 50)).points) == len(found)
    # What a network of other weights gave is measured again.
    others = [dataclasses.replace(point, network="0" * 12) if point.method == "light" else point for point in found]
    write_rows(work / "points.csv", Point, others)
    left = Points(work / "points.csv")
    assert len(left.points) == len(found) - 3 * 2
    assert {point.network for point in found if point.method == "light"} >= {digest_of("2:1", "light")} != {""}


def test_gain_at_equal_rate_is_what_lies_between_two_curves() -> None:
    anchor, test = (curve(points("a", "2:1", "x", gained=each), PSNR) for each in (0, 1.5))
    assert anchor
    assert test
    assert gain(test, anchor, (0.1, 0.4)) == pytest.approx(1.5)
    # Twice the bits for the same picture are 6 dB here.
    dearer = curve(points("a", "2:1", "x", rates=2), PSNR)
    assert dearer
    assert gain(dearer, anchor, (0.1, 0.4)) == pytest.approx(-6, abs=0.01)
    assert gain(dearer, anchor, (2, 4)) is None


def test_bjontegaard_rates_of_curves_that_are_known() -> None:
    anchor = curve(points("a", "1:1", NATIVE), PSNR)
    assert anchor
    for factor, percent in ((0.5, -50), (1, 0), (1.25, 25)):
        test = curve(points("a", "2:1", "x", rates=factor), PSNR)
        assert test
        assert bjontegaard(test, anchor) == pytest.approx(percent, abs=0.01)
    far = curve(points("a", "2:1", "x", gained=100), PSNR)
    assert far
    assert bjontegaard(far, anchor) is None


def test_points_where_more_bits_give_less_are_left_out() -> None:
    rising = points("a", "2:1", "x")
    fallen = Point(STILLS, "a", "2:1", 9, "x", 0.3, 10.0, 0.0)
    with_fallen, without = curve([*rising, fallen], PSNR), curve(rising, PSNR)
    assert with_fallen
    assert without
    assert np.array_equal(with_fallen.rates, without.rates)
    assert curve(rising[:1], PSNR) is None


def test_intervals_hold_the_mean_and_shrink_with_more_clips() -> None:
    rng = np.random.default_rng(2)
    few, many = (interval(list(rng.normal(1, 1, count))) for count in (8, 200))
    assert few
    assert many
    for found in (few, many):
        assert found.low < found.mean < found.high
    # 95 % of a normal distribution's means lie within 1.96 deviations over the root of the number.
    assert many.high - many.low == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.2)
    assert few.high - few.low > many.high - many.low
    assert interval([]) is None


def test_tables_and_crossings() -> None:
    native = [point for clip in "abc" for point in points(clip, "1:1", NATIVE)]
    better = [point for clip in "abc" for point in points(clip, "2:1", "fast", gained=0.25)]
    worse = [point for clip in "abc" for point in points(clip, "2:1", "lanczos5", gained=-1)]
    curves = curves_of(native + better + worse, STILLS, PSNR)
    table = gain_table(curves, PSNR).splitlines()
    assert table[0].startswith("| ratio | method | 0.02 to 0.1 bpp |")
    assert [line.split(" | ")[1] for line in table[2:]] == ["lanczos5", "fast"]
    assert "| +0.25 (+0.25 to +0.25, 3) |" in table[3]
    found = crossings(curves)
    assert found["2:1", "lanczos5"] == "never"
    assert found["2:1", "fast"] == "at least 1.50"
    tilted = [
        Point(STILLS, clip, "4:3", level, "fast", rate, 30 + 5 * np.log2(rate / 0.1), 0)
        for clip in "abc"
        for level, rate in enumerate(RATES)
    ]
    assert crossings(curves_of(native + tilted, STILLS, PSNR))["4:3", "fast"] == "0.10"


def test_a_record_is_between_its_marks(tmp_path: Path) -> None:
    document = tmp_path / "rate.md"
    document.write_text(
        "before\n<!-- rate: measured -->\n<!-- end -->\n<!-- rate: stills PSNR-Y -->\nold\n<!-- end -->\nafter\n"
    )
    found = points("a", "1:1", NATIVE) + points("a", "8:5", "light", gained=1)
    record(found, document)
    text = document.read_text()
    assert summary(found) in text
    assert tables(found)["stills PSNR-Y"] in text
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "<svg" in (tmp_path / "rate.svg").read_text()


def test_the_document_has_a_place_for_every_table() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "results" / "rate.md").read_text("utf-8")
    for of_set in ("stills", "videos"):
        for metric in METRICS:
            assert f"<!-- rate: {of_set} {metric.title.partition(',')[0]} -->" in text


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "test" / "kodak").mkdir(parents=True)
    result = CliRunner().invoke(main, ["rate", "--data", str(tmp_path), "--work", str(tmp_path), "--no-videos"])
    assert result.exit_code == 1
    assert "nothing to code is in" in result.output


@pytest.mark.parametrize("without", [("--no-videos",), ("--pictures", "0")])
def test_a_folder_that_is_not_there_is_reported(tmp_path: Path, without: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, ["rate", "--data", str(tmp_path), "--work", str(tmp_path), *without])
    assert result.exit_code == 1
    assert "there is no folder" in result.output


def test_points_of_another_picture_of_the_same_name_are_measured_again(picture: Path, tmp_path: Path) -> None:
    first = measure(picture, None, tmp_path / "work", [], levels=(50,)).points
    assert len({point.checksum for point in first}) == 1
    # Points of before the checksum was stored count as those of the picture.
    unknown = [dataclasses.replace(point, checksum="", psnr_y=1.0) for point in first]
    write_rows(tmp_path / "work" / "points.csv", Point, unknown)
    kept = measure(picture, None, tmp_path / "work", [], levels=(50,)).points
    assert [(point.checksum, point.psnr_y) for point in kept] == [("", 1.0)] * len(first)
    write_rows(tmp_path / "work" / "points.csv", Point, first)
    with Image.open(picture / "waves.png") as image:
        turned = image.transpose(Image.Transpose.ROTATE_180)
    turned.save(picture / "waves.png")
    second = measure(picture, None, tmp_path / "work", [], levels=(50,)).points
    assert len(second) == len(first)
    assert {point.checksum for point in second}.isdisjoint(point.checksum for point in first)


def test_points_of_before_there_were_checksums_are_read(tmp_path: Path) -> None:
    old = "set,clip,ratio,level,method,bits_per_pixel,psnr_y,vmaf_neg,network\nstills,1,1:1,12,native,2.5,45.25,95.5,\n"
    (tmp_path / "points.csv").write_text(old)
    assert Points(tmp_path / "points.csv").points == [Point(STILLS, "1", "1:1", 12, NATIVE, 2.5, 45.25, 95.5)]


def test_originals_of_one_name_are_refused(picture: Path) -> None:
    with Image.open(picture / "waves.png") as image:
        image.save(picture / "waves.webp")
    with pytest.raises(ValueError, match=r"waves\.png and .*waves\.webp have the same name: rename one"):
        next(originals(picture, None))


@pytest.mark.parametrize(
    ("tiers", "drawn"),
    [
        (("light", "fast", "quality"), "fast"),
        (("light", "quality"), "light"),
        (("quality",), "quality"),
        (("light",), "light"),
    ],
)
def test_the_plot_has_one_tier_whichever_were_measured(tiers: tuple[str, ...], drawn: str) -> None:
    found = [*points("a", "1:1", NATIVE), *points("a", "2:1", "lanczos5")]
    for tier in tiers:
        found += points("a", "2:1", tier)
    assert _drawn(curves_of(found, STILLS, PSNR)) == {NATIVE, "lanczos5", drawn}
    assert _drawn(curves_of(points("a", "1:1", NATIVE), STILLS, PSNR)) == {NATIVE, "lanczos5"}
