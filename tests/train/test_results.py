"""The committed scores are those of the committed models."""

import json
import shutil
from pathlib import Path

import pytest

from tests.tolerances import BITS_PER_PIXEL, MEAN_DRIFT_CODES, PSNR_DB, PSNR_INT8_DB, SSIM
from train.evaluate import REFERENCE, Score, evaluate, method_of
from train.pairs import pair_by_slug
from train.recipe import load_recipe
from train.report import costs_of_tiers, gain_table, mean_table, record_gains, summary_table
from train.table import read_rows
from vs_srcomp.models import TIERS

ROOT = Path(__file__).resolve().parents[2]


def entries() -> list[dict[str, object]]:
    """The srcomp models of the catalogue."""
    catalogue = json.loads((ROOT / "engines" / "models.json").read_text("utf-8"))["models"]
    return [entry for entry in catalogue if entry["system"] == "srcomp"]


def committed(name: str) -> list[Score]:
    """The scores of a set."""
    scores = read_rows(ROOT / "train" / "results" / f"{name}.csv", Score)
    assert scores
    return scores


@pytest.mark.parametrize("slug", ["2by1-q40", "4by3-q20"])
def test_measuring_again_gives_the_committed_scores(slug: str, shared_data: Path, tmp_path: Path) -> None:
    expected = {(score.picture, score.method): score for score in committed("kodak") if score.pair == slug}
    pictures = tmp_path / "kodak"
    pictures.mkdir()
    for name in ("3", "19", "23"):
        shutil.copy(shared_data / "test" / "kodak" / f"{name}.png", pictures)
    tiers = [tier for tier in ("fast", "light") if ("3", tier) in expected]
    assert tiers
    seen = set()
    for score in evaluate(pictures, tmp_path / "streams", [pair_by_slug(slug)], tiers):
        before = expected.get((score.picture, score.method))
        if before is None:
            continue  # not measured then
        seen.add(score.method)
        assert score.bits_per_pixel == pytest.approx(before.bits_per_pixel, abs=BITS_PER_PIXEL)
        assert score.psnr_y == pytest.approx(
            before.psnr_y, abs=PSNR_INT8_DB if score.method.endswith("int8") else PSNR_DB
        )
        assert before.ssim_y is None or score.ssim_y == pytest.approx(before.ssim_y, abs=SSIM)
        assert abs(score.mean_drift) < MEAN_DRIFT_CODES or score.method not in TIERS
    assert {REFERENCE, *tiers} <= seen


def test_the_catalogue_has_the_gains_of_the_committed_scores(tmp_path: Path) -> None:
    scores = committed("kodak")
    catalogue = tmp_path / "models.json"
    emptied = [entry | {"gain_db": {}} for entry in entries()]
    catalogue.write_text(json.dumps({"models": emptied}))
    record_gains(scores, "kodak", catalogue)
    measured = {score.method for score in scores}
    for before, entry in zip(entries(), json.loads(catalogue.read_text("utf-8"))["models"], strict=True):
        if method_of(entry["tier"], entry["look"]) in measured:
            assert before["gain_db"].get("kodak") == entry["gain_db"].get("kodak"), entry["name"]  # type: ignore[attr-defined]


def test_documents_show_the_committed_scores() -> None:
    scores = committed("kodak")
    costs = costs_of_tiers(ROOT / "engines" / "models.json")
    assert summary_table(scores, costs) in (ROOT / "README.md").read_text("utf-8")
    detailed = (ROOT / "docs" / "results" / "stills.md").read_text("utf-8")
    assert gain_table(scores) in detailed
    assert mean_table(scores) in detailed


def test_every_model_has_its_recipe_and_the_log_of_its_run() -> None:
    for entry in entries():
        recipe = load_recipe(ROOT / str(entry["recipe"]))
        assert recipe.name == entry["name"]
        assert recipe.ratio is not None
        assert (recipe.tier, recipe.ratio.name, recipe.look) == (entry["tier"], entry["ratio"], entry["look"])
        network = recipe.make_network()
        assert (network.parameter_count, network.stride) == (entry["parameters"], entry["stride"])
        # What was not trained has none, and no others' either.
        assert (ROOT / "train" / "runs" / f"{recipe.name}.csv").exists() == bool(recipe.steps)
