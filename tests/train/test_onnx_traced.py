"""Exports of every network, run by another runtime at sizes that were not traced."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.tolerances import FLOAT32_TRAINED
from tests.train.networks.small import SMALL, outputs_of
from train.networks import NETWORKS
from train.networks.network import Network
from train.onnx_traced import network_to_onnx


def run(data: bytes, picture: torch.Tensor) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {session.get_inputs()[0].name: picture.numpy()})
    return np.asarray(answer)


def awake(network: Network) -> Network:
    """With weights that are not those of interpolation."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return network


@pytest.mark.parametrize(("name", "parameters", "scale"), SMALL, ids=lambda value: str(value))
def test_the_export_gives_what_the_network_gives_at_any_size(name: str, parameters: dict[str, Any], scale: int) -> None:
    network = awake(NETWORKS.make(name, **parameters))
    data = network_to_onnx(network, name, half=False)
    for shape in ((1, 1, 16, 20), (2, 1, 23, 17)):
        picture = torch.rand(shape)
        with torch.no_grad():
            expected = outputs_of(network, picture)[0]
        np.testing.assert_allclose(run(data, picture), expected, **FLOAT32_TRAINED)


@pytest.mark.parametrize("name", ["espcn", "cisr-psi"])
def test_networks_for_rgb_are_exported_too(name: str) -> None:
    network = awake(NETWORKS.make(name, channels=3))
    picture = torch.rand(1, 3, 16, 20)
    with torch.no_grad():
        expected = outputs_of(network, picture)[0]
    np.testing.assert_allclose(run(network_to_onnx(network, name, half=False), picture), expected, **FLOAT32_TRAINED)


@pytest.mark.parametrize("name", ["srcnn", "espcn", "edsr", "fd-srcnn"])
def test_half_precision_halves_the_file_and_changes_less_than_a_quarter_of_a_code(name: str) -> None:
    network = NETWORKS.make(name)
    half, full = (network_to_onnx(network, name, half=half) for half in (True, False))
    assert len(half) < 0.6 * len(full)
    picture = torch.rand(1, 1, 24, 24)
    assert np.abs(run(half, picture) - run(full, picture)).max() < 0.25 / 255


def test_the_graph_has_inputs_of_any_size_and_no_trace_of_the_framework() -> None:
    model = onnx.load_from_string(network_to_onnx(NETWORKS.make("espcn"), "espcn-2x"))
    (taken,) = model.graph.input
    assert [dimension.dim_param or dimension.dim_value for dimension in taken.type.tensor_type.shape.dim] == [
        "N",
        1,
        "H",
        "W",
    ]
    assert model.producer_name == "vs-srcomp"
    assert {node.op_type for node in model.graph.node} == {"Cast", "Conv", "Relu", "DepthToSpace", "Identity"}
    assert model.opset_import[0].version == 13


def test_estimates_that_nobody_sees_are_left_out() -> None:
    model = onnx.load_from_string(network_to_onnx(NETWORKS.make("fd-srcnn"), "fd-srcnn-2x"))
    assert [node.op_type for node in model.graph.node].count("Sigmoid") == 1


def test_weights_used_in_several_rounds_are_stored_once() -> None:
    one, three = (
        network_to_onnx(NETWORKS.make("cisr-psi", rounds=rounds, blocks=1, width=16), "cisr") for rounds in (1, 3)
    )
    assert len(three) < 1.3 * len(one)


def test_an_operator_without_translation_is_refused_by_name() -> None:
    class Odd(Network):
        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            return torch.cos(picture)

    with pytest.raises(ValueError, match=r"cos.* has no translation to ONNX"):
        network_to_onnx(Odd(scale=1, channels=1), "odd")
