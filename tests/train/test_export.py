"""Systems of the papers as the package would carry them: their descriptors, and how they play."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import vapoursynth as vs

import vs_srcomp
from train.export import export_system
from train.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "factor"), [("espcn-2x", 2), ("srcnn", 2), ("fd-srcnn-3x-bicubic", 3), ("lapsrn-4x", 4)]
)
def test_an_exported_system_has_a_descriptor_and_plays(name: str, factor: int, tmp_path: Path) -> None:
    path = ROOT / "train" / "recipes" / "systems" / f"{name}.toml"
    recipe = load_recipe(path)
    network = recipe.make_network()
    said = export_system(network, recipe, path, tmp_path)
    assert said.startswith(f"{name}: {network.parameter_count} parameters, ")
    catalogue = json.loads((tmp_path / "models.json").read_text("utf-8"))
    jsonschema.validate(catalogue, json.loads((ROOT / "engines" / "models.schema.json").read_text("utf-8")))
    (entry,) = catalogue["models"]
    assert (entry["system"], entry["scale"]) == (recipe.network["name"], network.scale)
    assert (ROOT / entry["recipe"]).exists()

    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=1, color=[100, 90, 200])
    model = str(tmp_path / entry["file"])
    upscaled = vs_srcomp.upscale(clip, width=64 * factor, height=48 * factor, q=30, model=model)
    with upscaled.get_frame(0) as frame:
        luma = np.asarray(frame[0])
        assert luma.shape == (48 * factor, 64 * factor)
        # Not trained, it interpolates.
        assert abs(luma[16 * factor : -16 * factor, 16 * factor : -16 * factor].astype(int) - 100).max() < 16
        assert np.asarray(frame[1])[0, 0] == 90
