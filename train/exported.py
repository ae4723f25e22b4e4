"""Weights of this project's networks as the package has them: the inverse of the export."""

from typing import Any

import numpy as np
import onnx
import torch
from onnx import GraphProto, numpy_helper
from torch import Tensor

from train.networks.interpolated import InterpolatedStack
from train.networks.network import Network
from train.networks.plain import PlainStack
from vs_srcomp.models import load_network, models
from vs_srcomp.models.catalogue import SYSTEM


def is_installed(name: str) -> bool:
    """Whether the package has a network of this project of that name."""
    return any(model.name == name and model.system == SYSTEM for model in models())


def take_installed(network: Network, name: str) -> None:
    """Set the weights of ``network`` to those of the package's network ``name``; see `take_exported`."""
    take_exported(network, installed_file(name))


def installed_file(name: str) -> bytes:
    """The ONNX file of the package's network ``name``."""
    (model,) = [model for model in models() if model.name == name]
    return load_network(model).onnx


def exported_network(file: bytes) -> PlainStack | InterpolatedStack:
    """The network of an ONNX file of `train.onnx_levels`, in the form that the file has; see `take_exported`."""
    graph = onnx.load_from_string(file).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    attributes = {(node.op_type, attribute.name): attribute for node in graph.node for attribute in node.attribute}
    slope = attributes.get(("LeakyRelu", "alpha"))
    is_plain = "table" in values
    form: dict[str, Any] = {
        "stride": attributes["DepthToSpace", "blocksize"].i,
        "channels": len(values["conv0.weight"]) if is_plain else int(values["conv0.shape"][0]),
        "layers": sum(node.op_type == "Conv" for node in graph.node),
        "slope": slope.f if slope else 0.0,
    }
    network = PlainStack(**form) if is_plain else InterpolatedStack(**form, levels=values["knots"].flatten().tolist())
    take_exported(network, file)
    return network


@torch.no_grad()
def take_exported(network: Network, file: bytes) -> None:
    """Set the weights of ``network`` to those of an ONNX file of `train.onnx_levels`.

    They differ from those that were exported by rounding alone, of floats and, with interpolated kernels, of half
    precision.

    Raises:
        ValueError: ``network`` has another form than that in the file.
    """
    graph = onnx.load_from_string(file).graph
    values = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    if not isinstance(network, PlainStack | InterpolatedStack):
        raise ValueError(f"a {type(network).__name__} has no weights in the package, and cannot be {graph.name}")
    _check_slope(network, graph)
    try:
        if isinstance(network, PlainStack):
            _take_plain(network, values)
        elif "table" in values:
            network.take_plain(lambda plain: _take_plain(plain, values))
        else:
            _take_interpolated(network, values)
    except (KeyError, RuntimeError) as reason:
        raise ValueError(f"{graph.name} has another form than the recipe: give the recipe of its form") from reason


def _check_slope(network: PlainStack | InterpolatedStack, graph: GraphProto) -> None:
    """ValueError if the activations of ``graph`` are other ones than those of ``network``."""
    slopes = {attribute.f for node in graph.node if node.op_type == "LeakyRelu" for attribute in node.attribute}
    if slopes != ({np.float32(network.slope)} if network.slope else set()):
        raise ValueError(f"{graph.name} has another slope than the recipe: give the recipe of its form")


def _take_plain(network: PlainStack, values: dict[str, Tensor]) -> None:
    count = len(network.kernels())
    network.set_kernels([values[f"conv{index}.weight"] for index in range(count)], values[f"conv{count - 1}.bias"])
    knots, layers, channels = network.gains.shape
    scales, shifts = values["table"].view(knots, layers, 2, channels).unbind(2)
    network.gains.copy_(scales - 1)
    network.shifts.copy_(shifts)


def _take_interpolated(network: InterpolatedStack, values: dict[str, Tensor]) -> None:
    layers = []
    for index in range(len(network.kernels())):
        weights, biases = values[f"conv{index}.weights"].float(), values[f"conv{index}.biases"]
        shape = values[f"conv{index}.shape"].tolist()
        layers.append([(weight.view(shape), bias) for weight, bias in zip(weights, biases, strict=True)])
    of_levels = list(zip(*layers, strict=True))
    network.take_levels(values["knots"].flatten().tolist(), lambda exported: exported.set_kernels(of_levels))
