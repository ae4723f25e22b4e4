import hashlib
import json
import math
from itertools import product
from pathlib import Path

import onnx
import pytest
import vapoursynth as vs

from vs_srcomp.geometry import RATIOS, Ratio
from vs_srcomp.models import (
    LOOKS,
    TIERS,
    Model,
    catalogue,
    choice,
    find_model,
    load_network,
    models,
    network_at,
    network_for,
)

ENGINES = Path(__file__).resolve().parents[2] / "engines"
LIMITS = {"light": 2_500, "fast": 10_500, "quality": 60_000}  # multiply-accumulates per output pixel


@pytest.mark.parametrize("ratio", RATIOS, ids=lambda ratio: ratio.slug)
def test_there_is_a_model_of_every_tier_and_look_for_every_ratio(ratio: Ratio) -> None:
    for tier, look in product(TIERS, LOOKS):
        model = find_model(tier, ratio, look)
        assert (model.tier, model.ratio, model.look, model.system) == (tier, ratio.name, look, "srcomp")


def test_models_are_found_by_tier_ratio_and_look(carried: Path) -> None:
    for ratio in RATIOS:
        assert find_model("light", ratio, "crisp").name == f"srcomp-light-{ratio.slug}-crisp"
        assert find_model("quality", ratio).name == f"srcomp-quality-{ratio.slug}"


def test_what_is_missing_is_an_error_that_lists_what_there_is(carried: Path) -> None:
    with pytest.raises(vs.Error, match=r"no model 'slow'\nuse one of quality, fast, light, espcn-2x"):
        find_model("slow", RATIOS[0])
    no_look = r"no quality model with the look 'crisp'\nuse the look faithful, or the model fast or light$"
    with pytest.raises(vs.Error, match=no_look):
        find_model("quality", RATIOS[0], "crisp")
    described = json.loads((carried / "models.json").read_text())
    described["models"] = [entry for entry in described["models"] if entry.get("ratio") != "4:3"]
    (carried / "models.json").write_text(json.dumps(described))
    catalogue._catalogue.cache_clear()
    with pytest.raises(vs.Error, match=r"no crisp fast model for the ratio 4:3\nuse 2:1 or 8:5, or the look faithful$"):
        find_model("fast", RATIOS[2], "crisp")


def test_an_entry_is_complete(carried: Path) -> None:
    model = find_model("fast", RATIOS[0])
    assert (model.levels, model.ranges, model.scale, model.takes_level) == ((20, 50), (), 1, True)
    espcn = choice.find("espcn-2x", RATIOS[0])
    assert isinstance(espcn, Model)
    assert (espcn.levels, espcn.scale, espcn.takes_level, espcn.tier) == (None, 2, False, None)


def test_weights_of_half_precision_are_for_files_alone(carried: Path) -> None:
    for network in (load_network(choice.find("espcn-2x", RATIOS[0])), network_for("fast", RATIOS[0], 20)[1]):
        graph = onnx.load_from_string(network.onnx).graph
        assert {tensor.data_type for tensor in graph.initializer} == {onnx.TensorProto.FLOAT}
        assert "Cast" not in {node.op_type for node in graph.node}


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_a_descriptor_fits_its_file(model: Model) -> None:
    assert hashlib.sha256((ENGINES / model.file).read_bytes()).hexdigest() == model.sha256
    onnx.checker.check_model(str(ENGINES / model.file), full_check=True)
    assert (ENGINES.parent / model.recipe).is_file()
    found = load_network(model)
    inputs = onnx.load_from_string(found.onnx).graph.input
    assert [value.name for value in inputs[1:]] == ["q"] * model.takes_level
    if model.tier is None:
        return
    graph = onnx.load_from_string(network_at(found, 30).onnx).graph
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    kernels = sum(math.prod(shape) for shape in weights.values() if len(shape) == 4)
    # A network that takes the level has kernels for four of them at most.
    parameters = sum(map(math.prod, weights.values()))
    assert parameters <= model.parameters <= parameters * (4 if model.takes_level else 1)
    # Each weight of a convolution counts once a point of the coarse grid, which has one point per stride^2 pixels.
    assert model.macs_per_pixel == kernels / model.stride**2
    assert model.macs_per_pixel <= LIMITS[model.tier]
    assert model.gain_db["kodak"] > 0


def test_every_file_is_described() -> None:
    assert {path.name for path in ENGINES.glob("*.onnx")} == {model.file for model in models()}


@pytest.mark.parametrize("damage", ["none of it", "no text", "an unknown field", "a field is missing"])
def test_a_catalogue_of_another_version_is_an_error(damage: str, carried: Path) -> None:
    described = json.loads((carried / "models.json").read_text())
    if damage == "an unknown field":
        described["models"][0]["colour"] = "red"
    elif damage == "a field is missing":
        del described["models"][0]["ranges"]
    whole = json.dumps(described).encode()
    (carried / "models.json").write_bytes({"none of it": b"", "no text": b"\xff" + whole}.get(damage, whole))
    catalogue._catalogue.cache_clear()
    with pytest.raises(vs.Error, match=r"^srcomp: models\.json is damaged, or of another version: .*\ninstall"):
        find_model("fast", RATIOS[0])
