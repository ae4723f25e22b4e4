from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import vapoursynth as vs
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference

from tests.helpers.networks import make_onnx, one_of_each, random_network
from tests.tolerances import HALF_PRECISION
from vs_srcomp.models import load_network, network_at
from vs_srcomp.models.graph import residual_of
from vs_srcomp.models.half import to_half

node: Callable[..., NodeProto] = helper.make_node


def run(network: bytes, picture: NDArray[np.float32]) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    result: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: picture})[0]
    return result


def types(network: bytes) -> dict[str, int]:
    """The element type of every value, by the standard's own inference, which is strict."""
    model = onnx.load_model_from_string(network)
    onnx.checker.check_model(model, full_check=True)
    inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    return {value.name: value.type.tensor_type.elem_type for value in values}


def picture(height: int = 24, width: int = 32) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((1, 1, height, width), np.float32)


@pytest.mark.parametrize("model", one_of_each(), ids=lambda model: model.name)
def test_our_networks_change_by_less_than_a_tenth_of_an_8_bit_code(model: Any) -> None:
    network = network_at(load_network(model), 30).onnx
    smooth = np.add.outer(np.arange(24), np.arange(32)).astype(np.float32)[None, None] / 54
    luma = (smooth + np.random.default_rng(0).normal(0, 0.02, smooth.shape)).astype(np.float32)
    whole, half = run(network, luma), run(to_half(network), luma)
    assert 0 < np.abs(whole - half).max() < 0.1 / 255


def test_all_but_the_last_addition_is_in_float16() -> None:
    network = to_half(random_network())
    graph = onnx.load_model_from_string(network).graph
    found = types(network)
    added = graph.node[-1]
    assert added.op_type == "Add"
    assert [found[name] for name in added.input] == [TensorProto.FLOAT] * 2
    middle = [name for item in graph.node[:-2] for name in item.output]
    assert {found[name] for name in middle} == {TensorProto.FLOAT16}
    assert {tensor.data_type for tensor in graph.initializer} == {TensorProto.FLOAT16}
    assert residual_of(graph) is not None


def test_skip_path_is_exact() -> None:
    weights = {"w": np.zeros((1, 1, 3, 3), np.float32)}
    network = make_onnx([node("Conv", ["x", "w"], ["r"], pads=[1] * 4), node("Add", ["r", "x"], ["y"])], weights)
    assert np.array_equal(run(to_half(network), picture()), picture())


def test_network_without_a_skip_path_is_converted_whole() -> None:
    network = make_onnx(
        [
            node("Conv", ["x", "w"], ["f"], pads=[1] * 4),
            node("Clip", ["f", "low", "high"], ["g"]),
            node("Mul", ["g", "g"], ["y"]),
        ],
        {
            "w": np.full((1, 1, 3, 3), 1 / 9, np.float32),
            "low": np.array(0.2, np.float32),
            "high": np.array(0.7, np.float32),
        },
    )
    half = to_half(network)
    assert types(half)["y"] == TensorProto.FLOAT
    difference = np.abs(run(half, picture()) - run(network, picture())).max()
    assert 0 < difference < 2e-3


def test_numbers_that_the_standard_wants_in_float32_stay() -> None:
    factors = np.array([1, 1, 2, 2], np.float32)
    network = make_onnx(
        [
            node("Conv", ["x", "w"], ["f"], pads=[1] * 4),
            node("Constant", [], ["scales"], value=numpy_helper.from_array(factors)),
            node("Resize", ["f", "", "scales"], ["g"], mode="nearest"),
            node("Constant", [], ["two"], value_float=2.0),
            node("Mul", ["g", "two"], ["h"]),
            node("Cast", ["h"], ["i"], to=TensorProto.FLOAT),
            node("Pad", ["i", "pads", "value"], ["y"]),
        ],
        {
            "w": np.random.default_rng(1).normal(0, 0.3, (1, 1, 3, 3)).astype(np.float32),
            "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
            "value": np.array(0.5, np.float32),
        },
    )
    half = to_half(network)
    assert types(half)["i"] == TensorProto.FLOAT16
    np.testing.assert_allclose(run(half, picture()), run(network, picture()), **HALF_PRECISION)


def test_weights_beyond_float16_are_refused_with_their_name() -> None:
    network = make_onnx([node("Mul", ["x", "factor"], ["y"])], {"factor": np.array([1e5], np.float32)})
    with pytest.raises(vs.Error, match=r"^srcomp: the weights 'factor' of the network are too large") as raised:
        to_half(network)
    assert str(raised.value).splitlines()[-1] == 'use precision="f32"'


def test_same_network_gives_the_same_bytes() -> None:
    assert to_half(random_network()) == to_half(random_network())
