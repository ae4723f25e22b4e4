"""Comparison of the looks: what is measured, and what the tables say of it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from train.__main__ import main
from train.coding import decode
from train.looks import SHARPNESSES, LookScore, compare_looks, equal_psnr, look_table, ratio_table
from train.material.pictures import clip_planes, each_luma
from train.metrics import psnr
from train.pairs import pair_by_slug
from train.streams import stream_path
from train.table import read_rows, write_rows
from vs_srcomp.backends import OpenVINO
from vs_srcomp.upscale import upscale

PAIR = pair_by_slug("2by1-q30")
DOCUMENT = Path("docs/results/looks.md")
RECORDED = Path("train/results/looks-pictures.csv")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    pytest.importorskip("stlpips_pytorch", reason="weights of VGG16 are not installed: pip install stlpips-pytorch")
    folder = tmp_path / "pictures"
    folder.mkdir()
    y, x = np.mgrid[:96, :96]
    luma = 128 + 60 * np.sin(x / 5) + 40 * np.cos(y / 7) + np.random.default_rng(1).normal(0, 6, x.shape)
    Image.fromarray(luma.clip(0, 255).astype(np.uint8)).save(folder / "a.png")
    return folder


def test_faithful_is_measured_with_each_sharpness_beside_crisp(pictures: Path, tmp_path: Path) -> None:
    scores = {score.method: score for score in compare_looks(pictures, tmp_path, [PAIR], ["fast"])}
    assert list(scores) == ["lanczos5", "fast", "fast 0.25", "fast 0.5", "fast 0.75", "fast 1", "fast crisp"]
    ((path, original),) = each_luma(pictures)
    clip = decode(stream_path(tmp_path, PAIR, path).read_bytes())
    for method, options in (("fast 0.5", {"sharpness": 0.5}), ("fast crisp", {"look": "crisp"})):
        made = upscale(clip, ratio="2:1", q=30, model="fast", backend=OpenVINO(precision="f32"), **options)
        assert scores[method].psnr_y == psnr(clip_planes(made)[0], original)
    distances = [score.st_lpips for score in scores.values()]
    assert len(set(distances)) == len(distances)
    assert all(0 < distance < 2 for distance in distances)


def score(method: str, psnr_y: float, vmaf_neg: float = 70, pair: str = "2by1-q30") -> LookScore:
    # Unlike PSNR, these are not the same for the last two rows of the table.
    bonus = method == "fast crisp"
    return LookScore(pair, "a", method, psnr_y, vmaf_neg, (40 - psnr_y) / 40 - 0.1 * bonus, 2 * psnr_y + bonus)


# PSNR 31 - 4 s^2 and VMAF-NEG 72 + 4 s at the sharpness s: at s = 0.4 these are 30.36 and 73.6.
SHARP = [("fast", 31, 72), ("fast 0.25", 30.75, 73), ("fast 0.5", 30, 74), ("fast 0.75", 28.75, 75), ("fast 1", 27, 76)]


def test_the_table_ends_with_the_sharpness_of_equal_psnr() -> None:
    scores = [score("lanczos5", 30), *(score(*row) for row in SHARP), score("fast crisp", 30.36, 76)]
    # Pairs without the look do not count.
    scores += [score("lanczos5", 10, 10, "4by3-q20"), score("light", 10, 10, "4by3-q20")]
    lines = look_table(scores, "fast").splitlines()
    assert lines[0] == "| | Y-PSNR, dB | VMAF-NEG | ST-LPIPS, less is better | SSIMULACRA 2 |"
    assert lines[2] == "| lanczos5 | 30.00 | 70.0 | 0.250 | 60.0 |"
    assert lines[4] == "| fast 0.25 | +0.75 | +3.0 | 0.231 | 61.5 |"
    assert lines[8] == "| fast crisp | +0.36 | +6.0 | 0.141 | 61.7 |"
    assert lines[9] == "| fast, sharpened to the PSNR of fast crisp | +0.36 | +3.6 | 0.241 | 60.7 |"
    below = [dataclasses.replace(s, psnr_y=26) if s.method == "fast crisp" else s for s in scores]
    assert len(look_table(below, "fast").splitlines()) == 9


def test_each_ratio_has_rows_of_its_own() -> None:
    of_2 = [score("lanczos5", 30), *(score(*row) for row in SHARP), score("fast crisp", 30.36, 76)]
    of_4 = [dataclasses.replace(s, pair="4by3-q30", vmaf_neg=s.vmaf_neg + (s.method == "fast crisp")) for s in of_2]
    lines = ratio_table([*of_4, *of_2, score("lanczos5", 10, 10, "8by5-q20")], "fast").splitlines()
    assert lines == [
        "| ratio | | Y-PSNR, dB | VMAF-NEG | ST-LPIPS, less is better | SSIMULACRA 2 |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| 2:1 | fast | +1.00 | +2.0 | 0.225 | 62.0 |",
        "| 2:1 | fast crisp | +0.36 | +6.0 | 0.141 | 61.7 |",
        "| 2:1 | fast, sharpened to that PSNR | +0.36 | +3.6 | 0.241 | 60.7 |",
        "| 4:3 | fast | +1.00 | +2.0 | 0.225 | 62.0 |",
        "| 4:3 | fast crisp | +0.36 | +7.0 | 0.141 | 61.7 |",
        "| 4:3 | fast, sharpened to that PSNR | +0.36 | +3.6 | 0.241 | 60.7 |",
    ]


def test_equal_psnr_is_at_the_least_sharpness_that_has_it() -> None:
    # Polynomials in the sharpness s: PSNR 30 + 2 s - 4 s^2 has its peak at 0.25; the other score is 10 s.
    line = [np.array([30 + 2 * s - 4 * s**2, 10 * s]) for s in SHARPNESSES]
    for psnr_y, s in ((30, 0), (30.16, 0.1), (30.25, 0.25), (29.5, 0.683), (28, 1)):
        assert equal_psnr(line, psnr_y) == pytest.approx([psnr_y, 10 * s], abs=0.02)
    assert equal_psnr(line, 27.9) is None
    assert equal_psnr(line, 30.3) is None


def test_rows_of_a_table_are_of_the_same_pictures_and_pairs() -> None:
    sharp = [("fast", 31), ("fast 0.25", 30.5), ("fast 0.5", 30), ("fast 0.75", 29), ("fast 1", 28)]
    scores = [score("lanczos5", 30), *(score(*row) for row in sharp), score("fast crisp", 30.75)]
    more = dataclasses.replace(scores[-1], picture="b")
    with pytest.raises(ValueError, match="2by1-q30: fast crisp and lanczos5 were measured on different pictures"):
        look_table([*scores, more], "fast")
    elsewhere = [dataclasses.replace(each, pair="2by1-q40") for each in scores if each.method != "fast 0.5"]
    with pytest.raises(ValueError, match=r"fast 0\.5 was not measured at all pairs that fast crisp was"):
        ratio_table([*scores, *elsewhere], "fast")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: it has the project's own document, whose Kodak is the set ``pictures``."""
    text = (Path(__file__).resolve().parents[2] / DOCUMENT).read_text("utf-8")
    (tmp_path / DOCUMENT.parent).mkdir(parents=True)
    (tmp_path / DOCUMENT).write_text(text.replace(": kodak fast -->", ": pictures fast -->"), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("train.pairs.PAIRS", (PAIR,))
    return tmp_path


def looks(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["compare-looks", *map(str, arguments)])


def test_the_command_writes_scores_and_their_places_in_the_document(pictures: Path, project: Path) -> None:
    old = LookScore(PAIR.slug, "a", "light", 1, 2, 3, 4), LookScore(PAIR.slug, "gone", "fast crisp", 1, 2, 3, 4)
    write_rows(RECORDED, LookScore, old)
    done = looks("--images", pictures, "--record")
    assert done.exit_code == 0, done.output
    recorded = read_rows(RECORDED, LookScore)
    assert old[0] in recorded
    assert old[1] not in recorded
    tables = [make(recorded, "fast") for make in (look_table, ratio_table)]
    text = (project / DOCUMENT).read_text("utf-8")
    for mark, table in zip(("looks", "looks by ratio"), tables, strict=True):
        assert table in done.output
        assert f"<!-- {mark}: pictures fast -->\n{table}\n<!-- end -->" in text


def test_crisp_alone_can_be_measured_again(pictures: Path, project: Path) -> None:
    assert looks("--images", pictures, "--record").exit_code == 0
    measured = read_rows(RECORDED, LookScore)
    # If it were measured, too, the mark of the faithful network would go.
    marked = [dataclasses.replace(each, psnr_y=each.psnr_y + 1) for each in measured]
    write_rows(RECORDED, LookScore, marked)
    done = looks("--images", pictures, "--record", "--only-crisp")
    assert done.exit_code == 0, done.output
    assert read_rows(RECORDED, LookScore) == [*marked[:-1], measured[-1]]


def test_what_would_be_missing_is_said_before_anything_is_measured(pictures: Path, project: Path) -> None:
    assert "there is nothing to compare fast crisp with at 2by1-q30: leave out --only-crisp" in (
        looks("--images", pictures, "--record", "--only-crisp").output
    )
    assert "it needs --record" in looks("--images", pictures, "--only-crisp").output
    assert "--record keeps the twelve pairs" in looks("--images", pictures, "--record", "--pair", "2by1-q35").output
    assert "'edsr' is not one of 'quality', 'fast', 'light'" in looks("--images", pictures, "--tier", "edsr").output
    (project / DOCUMENT).write_text(
        "<!-- looks: pictures fast -->\n<!-- end -->\n<!-- looks by ratio: pictures fast -->"
    )
    done = looks("--images", pictures, "--record")
    assert "no place for tables: write <!-- looks by ratio: pictures fast --> and <!-- end --> there" in done.output
    assert not Path("work").exists()
