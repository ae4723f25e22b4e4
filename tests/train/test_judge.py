"""Judging crisp runs on crops of validation pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from tests.train.examples import changed
from tests.train.photographs import write_photographs
from train.__main__ import main
from train.exported import take_installed
from train.judge import LEVELS, faithful_of, judge, shift_table, shifts
from train.looks import equal_psnr, look_table
from train.material.coded import Example
from train.metrics import psnr
from train.networks.plain import PlainStack
from train.recipe import load_recipe
from vs_srcomp.models import models

RECIPES = Path(__file__).parents[2] / "train" / "recipes"
CRISP = load_recipe(RECIPES / "light-2by1-crisp.toml")


def picture(size: int, q: float) -> Example:
    y, x = np.mgrid[:size, :size]
    original = 128 + 60 * np.sin(x / 2.2) + 40 * np.cos(y / 3) + np.random.default_rng(1).normal(0, 6, x.shape)
    codes = original.clip(0, 255).astype(np.uint8)
    return Example((codes // 8 * 8 + 4).astype(np.uint8), codes, q, "a")


def needs_weights() -> None:
    pytest.importorskip("stlpips_pytorch", reason="weights of VGG16 are not installed: pip install stlpips-pytorch")


def test_a_run_is_scored_beside_the_faithful_network_of_any_sharpness() -> None:
    needs_weights()
    faithful = faithful_of(CRISP)
    small, large = picture(128, 20), picture(288, 30)
    scores = {score.method: score for score in judge(CRISP, faithful, faithful, [small, large, large], 1)}
    assert list(scores) == ["lanczos5", "light", "light 0.25", "light 0.5", "light 0.75", "light 1", "light crisp"]
    middle = np.s_[16:272, 16:272]
    assert scores["lanczos5"].psnr_y == psnr(large.degraded[middle], large.original[middle])
    same = ("psnr_y", "vmaf_neg", "st_lpips", "ssimulacra2")
    assert [getattr(scores["light"], name) for name in same] == [getattr(scores["light crisp"], name) for name in same]
    values = [[getattr(scores[method], name) for name in same] for method in list(scores)[1:6]]
    assert len({tuple(row) for row in values}) == 5
    found = equal_psnr([np.array(row) for row in values], scores["light crisp"].psnr_y)
    assert found is not None
    assert "sharpened to the PSNR of light crisp" in look_table(list(scores.values()), "light")


def test_without_a_picture_as_large_as_a_crop_nothing_is_judged() -> None:
    needs_weights()
    with pytest.raises(ValueError, match="no validation picture is as large as a crop of 256x256"):
        next(judge(CRISP, faithful_of(CRISP), faithful_of(CRISP), [picture(128, 20)], 1))


def test_only_crisp_networks_of_a_tier_are_judged() -> None:
    with pytest.raises(ValueError, match="tiny is not a tier's crisp network"):
        faithful_of(changed("tiny"))


def test_the_faithful_network_is_the_one_in_the_package() -> None:
    (model,) = [m for m in models() if (m.tier, m.ratio, m.look) == ("light", "2:1", "faithful")]
    expected = CRISP.make_network()
    take_installed(expected, model.name)
    for own, other in zip(faithful_of(CRISP).parameters(), expected.parameters(), strict=True):
        assert torch.equal(own, other)


def test_the_shift_of_constant_pictures_is_that_of_the_network() -> None:
    torch.manual_seed(0)
    network = PlainStack(stride=4, channels=4, layers=3)
    torch.nn.init.zeros_(network.tail.weight)
    network.shift_residual(-1.25 / 255)
    found = shifts(network.eval())
    assert [shift.q for shift in found] == list(LEVELS)
    for shift in found:
        assert shift.least == pytest.approx(-1.25, abs=1e-3)
        assert shift.largest == pytest.approx(-1.25, abs=1e-3)
    assert shift_table(network).splitlines()[2] == "| 20 | -1.25 to -1.25 |"


def test_the_command_prints_both_tables(tmp_path: Path) -> None:
    needs_weights()
    network = CRISP.make_network()
    take_installed(network, CRISP.name)
    folder = tmp_path / "runs" / CRISP.name
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / "weights.safetensors")
    images = write_photographs(tmp_path / "photographs", 12, 288, 272)
    arguments = ["judge", RECIPES / "light-2by1-crisp.toml", "--images", images, "--work", tmp_path, "--crops", 1]
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "srcomp-light-2by1-crisp, 1 crops"
    assert lines[3].startswith("| lanczos5 | ")
    at = lines.index("| Q | shift of constant pictures, codes |")
    assert lines[at + 2 : at + 6] == shift_table(network).splitlines()[2:]


def test_a_run_that_is_not_trained_is_named(tmp_path: Path) -> None:
    path = RECIPES / "light-2by1-crisp.toml"
    images = write_photographs(tmp_path / "photographs", 2)
    result = CliRunner().invoke(main, ["judge", str(path), "--images", str(images), "--work", str(tmp_path)])
    assert result.exit_code == 1
    assert "srcomp-light-2by1-crisp is not trained yet" in result.output
