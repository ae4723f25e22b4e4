"""The recipes of the systems: every part that they name exists, takes what they give it, and fits the others."""

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import train
from train.degradations import DEGRADATIONS
from train.degradations.degradation import covered
from train.material.crops import Crops
from train.networks import NETWORKS
from train.objectives import OBJECTIVES
from train.recipe import load_recipe

RECIPES = sorted((Path(train.__file__).parent / "recipes" / "systems").glob("*.toml"))
RELEASED = [
    *("espcn-2x", "espcn-2x-video", "srcnn", "vdsr", "fsrcnn-2x", "edsr-2x", "lapsrn-4x", "esrgan-4x", "cisr-psi-2x"),
    *(f"fd-srcnn-{scale}x-{track}" for scale in (2, 3, 4) for track in ("bicubic", "unknown")),
]
# In half precision, as they are carried.
BYTES_OF_ALL = 12_000_000


def tables() -> dict[str, dict[str, Any]]:
    return {path.stem: tomllib.loads(path.read_text()) for path in RECIPES}


def test_every_system_has_a_recipe_named_as_its_file() -> None:
    assert set(RELEASED) <= tables().keys()
    assert all(table["name"] == stem for stem, table in tables().items())


@pytest.mark.parametrize("name", tables())
def test_the_parts_of_a_recipe_fit(name: str) -> None:
    table = tables()[name]
    network = NETWORKS.make(**table["network"])
    assert table["crop"] % network.scale == 0
    picture = np.random.default_rng(1).integers(16, 236, (45, 51), dtype=np.uint8)
    degraded = DEGRADATIONS.make(**table["degradation"])(picture, np.random.default_rng(2))
    assert degraded.ratio == network.scale
    targets = [covered(picture, degraded), *([] if degraded.clean is None else [degraded.clean])]
    source, *wanted = (torch.from_numpy(plane.copy())[None, None].float() / 255 for plane in (degraded.input, *targets))
    with torch.no_grad():
        made = network(source)
    outputs = made if isinstance(made, tuple) else (made,)
    assert outputs[0].shape == wanted[0].shape
    objective = table["objective"]
    crops = Crops(source, tuple(wanted), q=torch.zeros(1), weight=torch.ones(1))
    terms = [term for term in objective.get("terms", [objective]) if term["name"] not in ("perceptual", "vmaf-neg")]
    for term in terms:
        loss = OBJECTIVES.make(**{key: value for key, value in term.items() if key != "weight"})
        assert torch.isfinite(loss(outputs, crops, 0.5))
    start = table.get("start")
    assert start is None or tables()[start]["network"] == table["network"]


def test_the_released_networks_are_small_enough_to_carry() -> None:
    parameters = sum(NETWORKS.make(**tables()[name]["network"]).parameter_count for name in RELEASED)
    # Names, shapes and operators come to some kilobytes each.
    assert 2 * parameters + 10_000 * len(RELEASED) < BYTES_OF_ALL


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scale = 2", "scale = 3", "a network of scale 3 does not fit pictures made 2 times smaller and not enlarged"),
        ("ratio = 2", "ratio = 2\nenlarged = true", "a network of scale 2 does not fit pictures made 2 times smaller"),
        ('name = "blur-decimate"\nratio = 2', 'name = "av1"\nratio = "8:5"', "scale 2 does not fit the ratio 8:5"),
        ('name = "espcn"', 'name = "espnc"', "there is no network 'espnc'; there are plain, interpolated, srcnn"),
        ('name = "blur-decimate"', 'name = "blur"', "there is no degradation 'blur'; there are av1, bicubic"),
        ('name = "squared"', 'name = "l2"', "there is no objective 'l2'; there are faithful, l1"),
        (
            'name = "squared"',
            'name = "l1"\n[material]\nname = "films"',
            "there is no material 'films'; there are photographs",
        ),
        ('name = "squared"', 'name = "l1"\n[material]\nname = "videos"\nsplit = "frame"', "split is time or file"),
        (
            'name = "blur-decimate"\nratio = 2',
            'name = "av1"\nratio = "2:1"',
            "pictures coded with AV1 come enlarged, so that the network has scale 1",
        ),
        ('name = "blur-decimate"', 'name = "mixture"', "degradation mixture needs parts"),
        (
            'name = "blur-decimate"\nratio = 2',
            'name = "mixture"\nratio = 2\nparts = [{ name = "bicubic", ratio = 4 }]',
            "the part bicubic of a mixture has ratio 4, not the mixture's",
        ),
        (
            'name = "blur-decimate"',
            'name = "mixture"\nparts = [{ name = "bicubic", share = 0 }]',
            "the part bicubic of a mixture: share is a number above 0, not 0",
        ),
        ("crop = 64", "crop = 63", "crop 63 is not a multiple of the scale 2"),
    ],
)
def test_a_recipe_whose_parts_do_not_fit_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    (path,) = [path for path in RECIPES if path.stem == "espcn-2x"]
    text = path.read_text()
    assert old in text
    changed = tmp_path / "changed.toml"
    changed.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=re.escape(message)):
        load_recipe(changed)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_a_system_can_be_loaded(path: Path) -> None:
    assert load_recipe(path).name == path.stem
