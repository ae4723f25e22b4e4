from dataclasses import replace

import numpy as np
import pytest
import vapoursynth as vs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from onnx import helper

from tests.helpers.networks import as_network, make_onnx, random_stack, reference
from tests.helpers.pictures import picture
from vs_srcomp.backends import OpenVINO
from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.backends.openvino.weights import integer_weights
from vs_srcomp.models import Network
from vs_srcomp.processor import has_avx2

pytestmark = pytest.mark.skipif(not has_avx2(), reason="this processor multiplies no 8-bit integers by the dozen")


def stack(*ranges: float, stride: int = 4) -> Network:
    return replace(as_network(random_stack(stride), stride=stride), ranges=ranges)


def restore(network: Network, plane: PlaneFormat, codes: Luma) -> Luma:
    target = np.zeros_like(codes)
    OpenVINO(precision="int8").compile(network, plane).worker().restore(codes, target)
    return target


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("ranges", [(3.0, 3.0, 3.0), (3.0, 3.0, 0.0), (3.0, 0.0, 0.0)])
def test_the_residual_is_kept_within_a_few_percent(ranges: tuple[float, ...], bits: int, stride: int) -> None:
    plane = PlaneFormat(191, 127, bits)
    codes = picture(plane)
    network = stack(*ranges, stride=stride)
    expected = reference(network.onnx, codes, bits, stride)
    restored = restore(network, plane, codes)
    error, residual = (
        np.square(a.astype(float) - b).mean() ** 0.5 for a, b in ((restored, expected), (expected, codes))
    )
    assert residual > 2 * 2 ** (bits - 8)
    assert 0 < error < residual / 20 + 0.5


def test_sums_of_large_products_do_not_overflow() -> None:
    # Every code and every weight is the largest; where two products are added in 16 bits, this is what overflows.
    channels = 32
    nodes = [
        helper.make_node("Conv", ["x", "u"], ["f"]),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("Conv", ["g", "v"], ["r"]),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    first = np.ones((channels, 1, 1, 1), np.float32)
    last = np.full((1, channels, 1, 1), -0.5 / channels, np.float32)
    network = replace(as_network(make_onnx(nodes, {"u": first, "v": last}), stride=1), ranges=(1.0,))
    plane = PlaneFormat(32, 32, 8)
    codes = np.full((32, 32), 255, np.uint8)
    # Weights of half a step, in both layers; an overflow would take half of the sum away.
    assert np.abs(restore(network, plane, codes).astype(int) - 128).max() <= 3


@given(
    arrays(np.float32, array_shapes(min_dims=4, max_dims=4, max_side=6), elements=st.floats(-3, 3, width=32)),
    st.booleans(),
)
def test_integer_weights_are_the_nearest_and_pairs_fit_16_bits(weights: np.ndarray, pairs_overflow: bool) -> None:
    integers, scales = integer_weights(weights, pairs_overflow=pairs_overflow)
    assert (np.abs(integers * scales - weights) <= scales * 0.501).all()
    if pairs_overflow:
        kernels = np.pad(integers.astype(int), ((0, 0), (0, integers.shape[1] % 2), (0, 0), (0, 0)))
        pairs = 255 * np.maximum(kernels, 0)[:, ::2] + 255 * np.maximum(kernels, 0)[:, 1::2]
        assert pairs.max() <= 32767
        pairs = 255 * np.minimum(kernels, 0)[:, ::2] + 255 * np.minimum(kernels, 0)[:, 1::2]
        assert pairs.min() >= -32768


def test_ranges_that_do_not_fit_are_refused() -> None:
    with pytest.raises(vs.Error, match=r"2 ranges do not fit its 3 layers"):
        restore(stack(1.0, 1.0), PlaneFormat(32, 32, 8), np.zeros((32, 32), np.uint8))
