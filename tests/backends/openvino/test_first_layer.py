from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from onnx import helper

from tests.helpers.networks import as_network, make_onnx, random_network, reference
from tests.helpers.pictures import picture
from vs_srcomp.backends import OpenVINO
from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.backends.openvino.weights import balanced_integers
from vs_srcomp.models import Network
from vs_srcomp.processor import has_amx


def with_integer_form(network: bytes, stride: int) -> Network:
    """The network with a form in integers in which the first layer alone is rounded."""
    layers = sum(node.op_type == "Conv" for node in onnx.load_from_string(network).graph.node)
    return replace(as_network(network, stride=stride), ranges=(0.0,) * (layers - 1), receptive_field=None)


def restore_in_integers(network: bytes, plane: PlaneFormat, codes: Luma, stride: int) -> Luma:
    target = np.zeros_like(codes)
    OpenVINO(precision="int8").compile(with_integer_form(network, stride), plane).worker().restore(codes, target)
    return target


def test_integers_see_every_code() -> None:
    # A bright ramp, one code a column, and weights that take the difference between neighbours.
    plane = PlaneFormat(16, 4, 8)
    codes = np.full((4, 16), plane.peak - 15, np.uint8)
    codes += np.arange(16, dtype=np.uint8)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], pads=[0, 0, 0, 1]),
        helper.make_node("Conv", ["h", "v"], ["y"]),
    ]
    weights = {"w": np.array([[[[-1, 1]]]], np.float32), "v": np.full((1, 1, 1, 1), 124, np.float32)}
    target = restore_in_integers(make_onnx(nodes, weights), plane, codes, 1)
    assert np.array_equal(target[:, :-1], np.full((4, 15), 124))


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 16])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("amx", [False, True])
def test_the_first_layer_changes_the_residual_by_two_percent(
    bits: int, stride: int, amx: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if amx and not has_amx():
        pytest.skip("this processor has no matrix units")
    monkeypatch.setattr("vs_srcomp.backends.openvino.backend.has_amx", lambda: amx)
    plane = PlaneFormat(191, 127, bits)
    codes = picture(plane)
    network = random_network(stride=stride)
    expected = reference(network, codes, bits, stride)
    restored = restore_in_integers(network, plane, codes, stride)
    error, residual = (
        np.square(a.astype(float) - b).mean() ** 0.5 for a, b in ((restored, expected), (expected, codes))
    )
    assert residual > 3 * 2 ** (bits - 8)
    assert error < residual / 50 + 0.5


@given(arrays(np.float32, array_shapes(min_dims=4, max_dims=4, max_side=6), elements=st.floats(-3, 3, width=32)))
def test_balanced_integers_keep_the_sum_of_each_kernel(weights: np.ndarray) -> None:
    integers, scales = balanced_integers(weights)
    assert integers.shape == weights.shape
    assert np.array_equal(integers, np.rint(integers))
    assert np.abs(integers).max() <= 127
    error = integers * scales.astype(np.float64) - weights
    assert (np.abs(error) <= scales * (1 + 1e-4)).all()
    assert (np.abs(error.sum((1, 2, 3))) <= scales[:, 0, 0, 0] * (0.5 + 1e-3)).all()


def test_balanced_integers_keep_the_mean_where_the_nearest_do_not() -> None:
    kernel = np.random.default_rng(0).normal(0.05, 0.1, (64, 1, 12, 12)).astype(np.float32)
    integers, scales = balanced_integers(kernel)
    steps = np.abs(kernel).max((1, 2, 3), keepdims=True) / 127
    nearest = np.rint(kernel / steps) * steps
    lost, lost_nearest = (np.abs((form - kernel).sum((1, 2, 3))).mean() for form in (integers * scales, nearest))
    assert lost < lost_nearest / 1000
