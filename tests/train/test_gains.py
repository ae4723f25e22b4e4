"""Gains by kind of material."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from tests.train.photographs import write_photographs
from train.__main__ import main
from train.gains import gains_by_kind, gains_table
from train.material.coded import Example
from train.networks.plain import PlainStack
from train.recipe import load_recipe
from train.run import Run, save_weights

RECIPE = Path(__file__).parents[2] / "train" / "recipes" / "light-2by1.toml"


class Nearer(PlainStack):
    """Takes a share of the distance to black, where the originals of these tests are."""

    def __init__(self, share: float) -> None:
        super().__init__(channels=4, layers=2)
        self._share = share

    def forward(self, luma: Tensor, q: Tensor) -> Tensor:
        return luma * (1 - self._share)


def test_each_kind_has_its_own_mean_and_median() -> None:
    black, grey = np.zeros((64, 64), np.uint8), np.full((64, 64), 100, np.uint8)
    still = Example(grey, black, 30.0, "a", kind="still1")
    clip = Example(grey, black + np.uint8(50), 30.0, "b", kind="clip")
    found = gains_by_kind({"package": Nearer(0.2), "trained": Nearer(0.5)}, [still, clip, still, still])
    assert [(each.kind, each.examples) for each in found] == [("clip", 1), ("still1", 3)]
    clips, stills = found
    assert stills.means == pytest.approx({"package": 20 * np.log10(100 / 80), "trained": 20 * np.log10(100 / 50)})
    assert stills.median_change == pytest.approx(20 * np.log10(80 / 50))
    assert clips.means["package"] == pytest.approx(20 * np.log10(50 / 30))
    assert "| still1 | 3 | +1.938 | +6.021 | +4.0824 |" in gains_table(found)
    (alone,) = gains_by_kind({"trained": Nearer(0.2)}, [replace(still, kind="framed")])
    assert alone.median_change is None
    table = gains_table([replace(alone, kind="all", means={"trained": 40.1834})], enlarges=True)
    assert table == "| kind | examples | trained, PSNR in dB |\n| --- | ---: | ---: |\n| all | 1 | 40.183 |"


def test_the_command_shows_the_run_beside_the_network_of_the_package(tmp_path: Path) -> None:
    write_photographs(tmp_path / "photographs", 24, 160, 128)
    recipe = load_recipe(RECIPE)
    run = Run(tmp_path / "work" / "runs" / recipe.name)
    run.folder.mkdir(parents=True)
    torch.manual_seed(1)
    save_weights(run.weights, recipe.make_network(), recipe.digest_of_weights)
    arguments = ["--images", str(tmp_path / "photographs"), "--work", str(tmp_path / "work")]
    done = CliRunner().invoke(main, ["gains", str(RECIPE), *arguments])
    assert done.exit_code == 0, done.output
    assert "srcomp-light-2by1\n| kind | examples | package | trained | median change, dB |" in done.output
    assert "| still1 | 10 |" in done.output  # two pictures at five levels
