import numpy as np
import onnx
import pytest
import torch

from tests.train.test_fit import blurred_pairs
from train.export import to_onnx
from train.networks.plain import PlainStack
from train.quantize import quantize
from vs_srcomp.backends import OpenVINO
from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.models import Network
from vs_srcomp.processor import has_vnni


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    exported = to_onnx(PlainStack(2, 16, 4), "test")
    return Network(
        onnx=exported, int8=quantize(exported, blurred_pairs()), sha256="0" * 64, stride=2, receptive_field=18
    )


def test_every_convolution_but_the_first_is_in_integers(network: Network) -> None:
    assert network.int8 is not None
    graph = onnx.load_from_string(network.int8).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    kinds = [[made_by.get(name) for name in node.input[:2]] for node in graph.node if node.op_type == "Conv"]
    assert kinds == [[None, None], *([["DequantizeLinear"] * 2] * 3)]


@pytest.mark.skipif(not has_vnni(), reason="this processor has no VNNI: sums of 8-bit products may overflow")
def test_integers_keep_the_residual_within_a_few_percent_and_the_picture_exact(network: Network) -> None:
    codes = blurred_pairs()[0].degraded
    plane = PlaneFormat(codes.shape[1], codes.shape[0], 8)
    exact, rounded = np.empty_like(codes), np.empty_like(codes)
    OpenVINO(precision="f32").compile(network, plane).worker().restore(codes, exact)
    OpenVINO(precision="int8").compile(network, plane).worker().restore(codes, rounded)
    residual, error = exact.astype(float) - codes, rounded.astype(float) - exact
    assert np.abs(residual).max() > 3
    # Half a code of rounding on both sides, and a twentieth of the residual.
    assert np.square(error).mean() < 0.2 + np.square(residual).mean() / 400
