from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper

from tests.helpers.networks import make_onnx, random_network, reference
from tests.helpers.pictures import noise
from tests.tolerances import ONE_CODE, TWO_CODES
from vs_srcomp.backends.base import CODES, RESTORED, Luma, PlaneFormat
from vs_srcomp.backends.integer_graph import with_integer_planes
from vs_srcomp.models.half import to_half

node: Callable[..., NodeProto] = helper.make_node
DTYPES = (np.uint8, np.uint16)


def restore(network: bytes, codes: Luma, bits: int, scale: int = 1) -> Luma:
    """Run the graph on the bytes of ``codes``, whose size it must take."""
    height, width = codes.shape
    graph = with_integer_planes(network, PlaneFormat(width, height, bits), scale=scale, as_bytes=True)
    onnx.checker.check_model(graph, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (result,) = session.run([RESTORED], {CODES: codes.view(np.uint8)[None, None]})
    restored: Luma = np.ascontiguousarray(result).reshape(height * scale, -1).view(codes.dtype)
    return restored


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 16])
def test_bytes_in_and_out_are_the_planes_of_an_independent_evaluation(bits: int) -> None:
    codes = noise(PlaneFormat(36, 24, bits))
    expected = reference(random_network(), codes, bits)
    assert not np.array_equal(expected, codes)
    got = restore(random_network(), codes, bits)
    assert int(np.abs(got.astype(int) - expected.astype(int)).max()) <= ONE_CODE
    # Most are the same: what was cut off instead of rounded would be one less in half of the cases.
    assert np.mean(got != expected) <= (0.1 if bits == 16 else 0.01)


@pytest.mark.parametrize("bits", [8, 10])
def test_half_precision_is_within_two_codes(bits: int) -> None:
    codes = noise(PlaneFormat(36, 24, bits))
    got = restore(to_half(random_network()), codes, bits)
    assert int(np.abs(got.astype(int) - reference(random_network(), codes, bits).astype(int)).max()) <= TWO_CODES


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_every_code_comes_back_from_a_network_that_adds_nothing(bits: int) -> None:
    weights = {"w": np.zeros((1, 1, 1, 1), np.float32)}
    network = make_onnx([node("Conv", ["x", "w"], ["r"]), node("Add", ["x", "r"], ["y"])], weights)
    codes: Luma = np.resize(np.arange(1 << bits), (256, 256)).astype(DTYPES[bits > 8])
    assert np.array_equal(restore(to_half(network), codes, bits), codes)


@pytest.mark.parametrize("bits", [8, 10])
def test_doubler_gives_twice_the_size(bits: int) -> None:
    scales = np.array([1, 1, 2, 2], np.float32)
    network = make_onnx([node("Resize", ["x", "", "s"], ["y"], mode="nearest")], {"s": scales})
    codes = noise(PlaneFormat(10, 6, bits))
    assert np.array_equal(restore(network, codes, bits, scale=2), codes.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("version", [11, 12])
def test_files_of_older_versions_of_the_standard_are_taken(version: int) -> None:
    model = onnx.load_model_from_string(random_network())
    model.opset_import[0].version = version
    codes = noise(PlaneFormat(36, 24, 10))
    expected = reference(random_network(), codes, 10)
    got = restore(model.SerializeToString(), codes, 10)
    assert int(np.abs(got.astype(int) - expected.astype(int)).max()) <= ONE_CODE


def test_types_are_those_that_tensorrt_converts() -> None:
    """Its uint8 is for inputs and outputs alone, next to a conversion from or to floating-point numbers."""
    graph = onnx.load_model_from_string(
        with_integer_planes(to_half(random_network()), PlaneFormat(36, 24, 10), as_bytes=True)
    ).graph
    assert [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)] == [TensorProto.UINT8] * 2
    assert [item.op_type for item in graph.node if CODES in item.input] == ["Cast"]
    assert [item.op_type for item in graph.node if RESTORED in item.output] == ["Cast"]
    sizes = [[size.dim_value for size in value.type.tensor_type.shape.dim] for value in (*graph.input, *graph.output)]
    assert sizes == [[1, 1, 24, 72], [1, 1, 24, 36, 2]]
