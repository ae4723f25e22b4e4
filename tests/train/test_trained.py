"""Trained networks by name: only of the recipe that made them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.train.examples import TINY, blurred, changed
from train.fit import fit
from train.parallel import Team
from train.run import Run, save_weights
from train.trained import network_of

ALONE = Team(torch.device("cpu"))


def test_a_network_has_the_weights_of_its_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tiny is not trained yet"):
        network_of(TINY, tmp_path)
    fit(TINY, blurred(), blurred(), tmp_path, ALONE)
    weights = load_file(Run(tmp_path / TINY.name).weights)
    for name, value in network_of(TINY, tmp_path).state_dict().items():
        assert torch.equal(value, weights[name])


def test_weights_of_another_blend_or_start_are_refused(tmp_path: Path) -> None:
    first = changed("first", steps=1)
    fit(first, blurred(), blurred(), tmp_path, ALONE)
    for before, after in (
        (changed("last", steps=1), changed("last", steps=1, blend="first")),
        (changed("kept", steps=0, start="first"), changed("kept", steps=0, start="another")),
    ):
        fit(before, blurred(), blurred(), tmp_path, ALONE)
        network_of(before, tmp_path)
        with pytest.raises(ValueError, match=rf"is of another recipe {before.name}; run `python -m train fit` again"):
            network_of(after, tmp_path)


def test_weights_that_name_no_recipe_pass(tmp_path: Path) -> None:
    run = Run(tmp_path / TINY.name)
    run.folder.mkdir()
    save_weights(run.weights, TINY.make_network())
    assert network_of(TINY, tmp_path).stride == 2
    run.weights.write_bytes(b"junk")
    with pytest.raises(ValueError, match="is damaged"):
        network_of(TINY, tmp_path)
