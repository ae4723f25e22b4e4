"""The committed scores are those of the committed models."""

import shutil
from pathlib import Path
from statistics import fmean

import pytest

from train.degradations.av1 import PAIRS, Pair, pair_by_slug
from train.evaluate import REFERENCE, Score, blind, evaluate
from train.recipe import load_recipe
from train.report import gain_table, mean_table, read_scores
from vs_srcomp.geometry import QUANTIZERS
from vs_srcomp.models import TIERS
from vs_srcomp.processor import has_vnni

ROOT = Path(__file__).resolve().parents[2]
# Floating-point sums in another order round some pixels to the neighbouring code.
TOLERANCE_DB = 0.01
TOLERANCE_SSIM = 0.0005
MAX_DRIFT = 0.05  # codes
SHADERS = {  # the best of the shaders in the README's table, in dB, by ratio for Q 20 to 50
    "2by1": (0.41, 0.31, 0.18, 0.06),
    "8by5": (0.70, 0.50, 0.28, 0.11),
    "4by3": (0.84, 0.57, 0.28, 0.11),
}


# At 4:3 the best one does 2.5 times the work of the light tier, which is to gain more than the second best.
ARTCNN_4BY3 = (0.27, 0.20, 0.12, 0.05)


def committed(name: str) -> list[Score]:
    return read_scores(ROOT / "train" / "results" / f"{name}.csv")


@pytest.mark.parametrize("slug", ["2by1-q40", "4by3-q20"])
def test_measuring_again_gives_the_committed_scores(slug: str, shared_data: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "kodak"
    pictures.mkdir()
    for name in ("3", "19", "23"):
        shutil.copy(shared_data / "test" / "kodak" / f"{name}.png", pictures)
    expected = {(score.picture, score.method): score for score in committed("kodak") if score.pair == slug}
    scores = list(evaluate(pictures, tmp_path / "streams", [pair_by_slug(slug)], ["fast", "light"]))
    assert len(scores) == 33
    for score in scores:
        if score.method.endswith("int8") and not has_vnni():
            continue  # without VNNI, sums of 8-bit products may overflow
        before = expected[score.picture, score.method]
        assert score.bits_per_pixel == pytest.approx(before.bits_per_pixel, abs=1e-4)
        assert score.psnr_y == pytest.approx(before.psnr_y, abs=TOLERANCE_DB)
        assert before.ssim_y is None or score.ssim_y == pytest.approx(before.ssim_y, abs=TOLERANCE_SSIM)
        assert abs(score.mean_drift) < MAX_DRIFT or score.method not in TIERS


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.slug)
@pytest.mark.parametrize("tier", TIERS)
def test_every_model_gains_more_than_shaders_do_and_keeps_the_mean(tier: str, pair: Pair) -> None:
    scores = [score for score in committed("kodak") if score.pair == pair.slug]
    mean = {method: fmean(s.psnr_y for s in scores if s.method == method) for method in (REFERENCE, tier)}
    drift = fmean(score.mean_drift for score in scores if score.method == tier)
    shaders = ARTCNN_4BY3 if (tier, pair.ratio.slug) == ("light", "4by3") else SHADERS[pair.ratio.slug]
    assert mean[tier] - mean[REFERENCE] > shaders[QUANTIZERS.index(pair.q)]
    assert abs(drift) < MAX_DRIFT


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.slug)
@pytest.mark.parametrize("tier", TIERS)
def test_generalists_are_within_a_tenth_of_a_decibel(tier: str, pair: Pair) -> None:
    scores = [score for score in committed("kodak") if score.pair == pair.slug]
    own, general = (fmean(s.psnr_y for s in scores if s.method == method) for method in (tier, blind(tier)))
    assert round(own - general, 2) <= 0.1
    # Otherwise the model of one level is of no use.
    assert own > general


@pytest.mark.parametrize("document", ["README.md", "train/RESULTS.md"])
def test_documents_show_the_committed_scores(document: str) -> None:
    text = (ROOT / document).read_text()
    assert gain_table(committed("kodak")) in text
    assert mean_table(committed("kodak")) in text


def test_every_recipe_has_the_log_and_the_curves_of_its_run() -> None:
    names = {load_recipe(path).name for path in (ROOT / "train" / "recipes").glob("*.toml")}
    for suffix in ("csv", "png"):
        assert {path.stem for path in (ROOT / "train" / "runs").glob(f"*.{suffix}")} == names
