"""Judging crisp runs on crops of validation pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
import vapoursynth as vs
from click.testing import CliRunner, Result

from tests.train.examples import changed
from tests.train.photographs import write_photographs
from train.__main__ import main
from train.exported import take_installed
from train.judge import evenly, faithful_of, judge, shift_table, shifts
from train.material.coded import Example
from train.material.pictures import clip_planes, planes_to_clip
from train.metrics import psnr
from train.networks.plain import PlainStack
from train.recipe import load_recipe
from train.run import Run, save_weights
from vs_srcomp.geometry import QUANTIZERS
from vs_srcomp.models import models
from vs_srcomp.upscale import sharpened

RECIPES = Path(__file__).parents[2] / "train" / "recipes"
RECIPE = RECIPES / "light-2by1-crisp.toml"
CRISP = load_recipe(RECIPE)


def picture(size: int, q: float) -> Example:
    y, x = np.mgrid[:size, :size]
    original = 128 + 60 * np.sin(x / 2.2) + 40 * np.cos(y / 3) + np.random.default_rng(1).normal(0, 6, x.shape)
    codes = original.clip(0, 255).astype(np.uint8)
    return Example((codes // 8 * 8 + 4).astype(np.uint8), codes, q, "a")


def needs_weights() -> None:
    pytest.importorskip("stlpips_pytorch", reason="weights of VGG16 are not installed: pip install stlpips-pytorch")


def test_a_run_is_scored_beside_the_faithful_network_of_any_sharpness() -> None:
    needs_weights()
    faithful, network = faithful_of(CRISP), CRISP.make_network()
    take_installed(network, CRISP.name)
    large = picture(288, 30)
    scores = {score.method: score for score in judge(CRISP, network, faithful, [picture(128, 20), large], 1)}
    assert list(scores) == ["lanczos5", "light", "light 0.25", "light 0.5", "light 0.75", "light 1", "light crisp"]
    degraded, original = (plane[16:272, 16:272] for plane in (large.degraded, large.original))
    assert scores["lanczos5"].psnr_y == psnr(degraded, original)
    by_itself = {}
    for method, of_method in (("light", faithful), ("light crisp", network.eval())):
        with torch.no_grad():
            made = of_method(torch.from_numpy(degraded / np.float32(255))[None, None], torch.tensor([30.0]))
        by_itself[method] = (made[0, 0].clamp(0, 1) * 255).round().numpy().astype(np.uint8)
        assert scores[method].psnr_y == psnr(by_itself[method], original)
    (half,) = [clip_planes(sharpened(planes_to_clip([by_itself["light"]], vs.GRAY8), 0.5))[0]]
    assert scores["light 0.5"].psnr_y == psnr(half, original)
    assert len({(score.vmaf_neg, score.st_lpips, score.ssimulacra2) for score in scores.values()}) == 7


def test_crops_are_spread_over_the_levels() -> None:
    many = [picture(256, q) for q in (50, 12, 20, 35, 41, 26, 30)]
    small = picture(128, 5)
    assert [example.q for example in evenly([*many, small], 3)] == [20, 30, 41]
    assert [example.q for example in evenly(many, 100)] == [12, 20, 26, 30, 35, 41, 50]


def test_without_a_picture_as_large_as_a_crop_nothing_is_judged() -> None:
    needs_weights()
    with pytest.raises(ValueError, match="no validation picture is as large as a crop of 256x256"):
        next(judge(CRISP, faithful_of(CRISP), faithful_of(CRISP), [picture(128, 20)], 1))


def test_only_crisp_networks_of_a_tier_are_judged() -> None:
    with pytest.raises(ValueError, match="tiny is not a tier's crisp network"):
        faithful_of(changed("tiny"))


def test_the_faithful_network_is_the_one_in_the_package() -> None:
    (model,) = [m for m in models() if (m.tier, m.ratio, m.look) == ("light", "2:1", "faithful")]
    expected = load_recipe(RECIPES / "light-2by1.toml").make_network()
    take_installed(expected, model.name)
    for own, other in zip(faithful_of(CRISP).parameters(), expected.parameters(), strict=True):
        assert torch.equal(own, other)


def test_the_shift_of_constant_pictures_is_that_of_the_network() -> None:
    class Tilted(PlainStack):
        """Darkens dark codes and brightens bright ones, more at high levels; far more within reach of the border."""

        def forward(self, luma: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
            residual = (luma - 0.5) * (q / 50).view(-1, 1, 1, 1) / 255
            edge = self.receptive_field // 2
            residual[..., :edge, :], residual[..., :, :edge] = 1, 1
            residual[..., -edge:, :], residual[..., :, -edge:] = 1, 1
            return luma + residual

    found = shifts(Tilted(stride=4, channels=4, layers=3))
    assert [shift.q for shift in found] == list(QUANTIZERS)
    for shift in found:
        assert shift.least == pytest.approx((16 / 255 - 0.5) * shift.q / 50, abs=1e-3)
        assert shift.largest == pytest.approx((235 / 255 - 0.5) * shift.q / 50, abs=1e-3)
    rows = shift_table(Tilted(stride=4, channels=4, layers=3)).splitlines()
    assert rows[-1] == "| 50 | -0.44 to +0.42 |"


def test_the_command_prints_both_tables_of_the_network_as_it_is_exported(tmp_path: Path) -> None:
    needs_weights()
    network = CRISP.make_network()
    take_installed(network, CRISP.name)
    assert isinstance(network, PlainStack)
    network.shift_residual(3 / 255)
    run = Run(tmp_path / "runs" / CRISP.name)
    run.folder.mkdir(parents=True)
    save_weights(run.weights, network)
    images = write_photographs(tmp_path / "photographs", 12, 288, 272)
    result = run_judge(RECIPE, images, tmp_path, "--crops", "1")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "srcomp-light-2by1-crisp, crops: 1"
    assert lines[3].startswith("| lanczos5 | ")
    at = lines.index("| Q | shift of constant pictures, codes |")
    # Three codes too bright, the run is brought back to the mean of its pictures.
    assert lines[at + 2 : at + 6] != shift_table(network).splitlines()[2:]
    assert all(-2 < float(line.split()[3]) < 2 for line in lines[at + 2 : at + 6])


def run_judge(recipe: Path, images: Path, work: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["judge", str(recipe), "--images", str(images), "--work", str(work), *more])


@pytest.mark.parametrize(
    ("recipe", "weights", "message"),
    [
        ("light-2by1-crisp", None, "is not trained yet: there is no"),
        ("light-2by1-crisp", b"nothing", "is damaged"),
        ("light-2by1", None, "srcomp-light-2by1 is not a tier's crisp network"),
        ("systems/espcn-2x", None, "espcn-2x is not a tier's crisp network"),
    ],
)
def test_what_cannot_be_judged_is_named_before_pictures_are_read(
    recipe: str, weights: bytes | None, message: str, tmp_path: Path
) -> None:
    run = Run(tmp_path / "runs" / "srcomp-light-2by1-crisp")
    run.folder.mkdir(parents=True)
    if weights is not None:
        run.weights.write_bytes(weights)
    result = run_judge(RECIPES / f"{recipe}.toml", tmp_path, tmp_path)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert message in result.output


def test_too_few_pictures_are_an_error_that_names_the_folder(tmp_path: Path) -> None:
    network = CRISP.make_network()
    run = Run(tmp_path / "runs" / CRISP.name)
    run.folder.mkdir(parents=True)
    save_weights(run.weights, network)
    result = run_judge(RECIPE, write_photographs(tmp_path / "photographs", 1), tmp_path)
    assert result.exit_code == 1
    assert "photographs: 1 picture cannot be split" in result.output
    assert "--images" in result.output
