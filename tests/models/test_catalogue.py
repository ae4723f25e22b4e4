import hashlib
from pathlib import Path

import onnx
import pytest
import vapoursynth as vs

from vs_srcomp.geometry import QUANTIZERS, RATIOS, Ratio
from vs_srcomp.models import Model, find_model, load_network, models

ENGINES = Path(__file__).resolve().parents[2] / "engines"
LIMITS = {"light": 2_500, "fast": 10_500, "quality": 60_000}  # multiply-accumulates per output pixel


@pytest.mark.parametrize("ratio", RATIOS, ids=lambda ratio: ratio.slug)
@pytest.mark.parametrize("q", QUANTIZERS)
def test_there_is_a_fast_model_for_every_pair(ratio: Ratio, q: int) -> None:
    model = find_model("fast", ratio, q)
    assert model is not None
    assert model.name == f"srcomp-fast-{ratio.slug}-q{q}"


@pytest.mark.parametrize("ratio", RATIOS, ids=lambda ratio: ratio.slug)
def test_there_is_a_fast_model_for_every_level_at_once(ratio: Ratio) -> None:
    model = find_model("fast", ratio, None)
    assert model is not None
    assert model.name == f"srcomp-fast-{ratio.slug}-blind"


def test_a_pair_without_a_model_is_none_and_an_unknown_tier_an_error() -> None:
    assert find_model("fast", RATIOS[0], 21) is None
    with pytest.raises(vs.Error, match="no model 'slow'"):
        find_model("slow", RATIOS[0], 20)


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_a_descriptor_says_what_its_file_holds(model: Model) -> None:
    data = load_network(model).onnx
    assert hashlib.sha256(data).hexdigest() == model.sha256
    network = onnx.load_from_string(data)
    onnx.checker.check_model(network, full_check=True)
    weights = {tensor.name: list(tensor.dims) for tensor in network.graph.initializer}
    assert model.parameters == sum(_product(shape) for shape in weights.values())
    # Each weight of a convolution counts once a point of the coarse grid, which has one point per stride^2 pixels.
    stride = next(
        a.i
        for node in network.graph.node
        if node.op_type == "DepthToSpace"
        for a in node.attribute
        if a.name == "blocksize"
    )
    kernels = sum(_product(shape) for shape in weights.values() if len(shape) == 4)
    assert model.macs_per_pixel == kernels / stride**2
    assert (ENGINES.parent / model.recipe).is_file()
    assert model.macs_per_pixel <= LIMITS[model.tier]
    assert model.gain_db["kodak"] > 0


def test_every_file_is_described() -> None:
    files = {path.name for path in ENGINES.glob("*.onnx") if not path.name.endswith(".int8.onnx")}
    assert files == {model.file for model in models()}


def _product(shape: list[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
