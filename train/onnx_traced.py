"""ONNX export of networks without levels, by tracing them."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn
from torch.nn import functional as F

from train.networks.network import Network
from train.onnx_file import onnx_file

INPUT, OUTPUT = "degraded", "restored"


def network_to_onnx(network: Network, name: str, *, half: bool = True) -> bytes:
    """The ONNX file of ``network``: input [N, C, H, W] float32, output its first, ``scale`` times as large.

    The forward pass is traced and written operator by operator: Conv, ConvTranspose, activations, DepthToSpace, Resize,
    Concat and arithmetic. Operators for other outputs only are omitted.

    Args:
        network: The network, which is not changed.
        name: Name of the graph.
        half: Whether to store kernels in half precision, each with a Cast, which every runtime folds at load. This
            halves the size, and changes the output by less than a quarter of an 8-bit code.

    Raises:
        ValueError: The network takes a compression level, or uses an operator that has no translation.
    """
    if network.takes_level:
        raise ValueError(f"{name}: a network that takes a compression level has an export of its own")
    graph = fx.symbolic_trace(network).graph
    (last,) = [node for node in graph.nodes if node.op == "output"]
    if isinstance(last.args[0], tuple | list):
        last.args = (last.args[0][0],)
    graph.eliminate_dead_code()
    writer = _Writer(network, half=half)
    for node in graph.nodes:
        writer.translate(node)
    taken = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", network.channels, "H", "W"])
    given = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", network.channels, *_sizes(network.scale)])
    return onnx_file(helper.make_graph(writer.nodes, name, [taken], [given], writer.initializers))


def _sizes(scale: int) -> list[str]:
    return ["H", "W"] if scale == 1 else [f"{scale}H", f"{scale}W"]


class _Writer:
    """ONNX nodes and initializers for the nodes of a traced forward pass, in order."""

    def __init__(self, network: Network, *, half: bool) -> None:
        self.channels = network.channels
        self._modules = dict(network.named_modules())
        self._half = half
        self._names: dict[fx.Node, str] = {}
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def translate(self, node: fx.Node) -> None:
        """Write ``node``."""
        if node.op == "placeholder":
            self._names[node] = INPUT
        elif node.op == "output":
            self.nodes.append(helper.make_node("Identity", [self._name(node.args[0])], [OUTPUT]))
        elif node.op == "call_module":
            self._names[node] = self._layer(node, self._modules[str(node.target)])
        elif node.op in ("call_function", "call_method"):
            translation = _TRANSLATIONS.get(node.target)
            if translation is None:
                raise ValueError(f"{node.target} has no translation to ONNX")
            self._names[node] = translation(self, node)
        else:
            raise ValueError(f"{node.op} {node.target} has no translation to ONNX")

    def write(self, operation: str, node: fx.Node, inputs: list[str], **attributes: Any) -> str:
        """Write one operator; returns the name of its output."""
        self.nodes.append(helper.make_node(operation, inputs, [node.name], **attributes))
        return node.name

    def inputs(self, node: fx.Node, *arguments: Any) -> list[str]:
        """The names of ``arguments``; numbers become initializers."""
        found = []
        for index, argument in enumerate(arguments):
            if isinstance(argument, fx.Node):
                found.append(self._name(argument))
            else:
                found.append(self.constant(f"{node.name}.{index}", np.asarray(argument, np.float32)))
        return found

    def constant(self, name: str, array: np.ndarray[Any, Any]) -> str:
        """An initializer; returns its name."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def alias(self, node: fx.Node) -> str:
        """Make ``node`` another name of its first argument."""
        return self._name(node.args[0])

    def _name(self, argument: Any) -> str:
        assert isinstance(argument, fx.Node), argument
        return self._names[argument]

    def _kernel(self, name: str, weight: Tensor) -> str:
        # A reused layer already has its kernel.
        if any(initializer.name.startswith(name) for initializer in self.initializers):
            return name
        array = weight.detach().cpu().float().numpy()
        if not self._half:
            return self.constant(name, array)
        stored = self.constant(f"{name}.half", array.astype(np.float16))
        self.nodes.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
        return name

    def _vector(self, name: str, values: Tensor, shape: tuple[int, ...]) -> str:
        if all(initializer.name != name for initializer in self.initializers):
            self.constant(name, values.detach().cpu().float().numpy().reshape(shape))
        return name

    def _layer(self, node: fx.Node, layer: nn.Module) -> str:
        inputs, target = [self._name(node.args[0])], str(node.target)
        if isinstance(layer, nn.PReLU):
            slopes = self._vector(f"{target}.slope", layer.weight, (-1, 1, 1))
            return self.write("PRelu", node, [*inputs, slopes])
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            raise ValueError(f"{type(layer).__name__} has no translation to ONNX")
        inputs.append(self._kernel(f"{target}.weight", layer.weight))
        if layer.bias is not None:
            inputs.append(self._vector(f"{target}.bias", layer.bias, (-1,)))
        padding = layer.padding
        assert not isinstance(padding, str)
        shape = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": [*padding, *padding]}
        if isinstance(layer, nn.ConvTranspose2d):
            return self.write("ConvTranspose", node, inputs, **shape, output_padding=layer.output_padding)
        return self.write("Conv", node, inputs, **shape, group=layer.groups)


def _of_all(operation: str) -> Callable[[_Writer, fx.Node], str]:
    return lambda writer, node: writer.write(operation, node, writer.inputs(node, *node.args))


def _of_first(operation: str) -> Callable[[_Writer, fx.Node], str]:
    return lambda writer, node: writer.write(operation, node, writer.inputs(node, node.args[0]))


def _leaky_relu(writer: _Writer, node: fx.Node) -> str:
    slope = float(node.args[1] if len(node.args) > 1 else node.kwargs.get("negative_slope", 0.01))  # type: ignore[arg-type]
    return writer.write("LeakyRelu", node, writer.inputs(node, node.args[0]), alpha=slope)


def _pixel_shuffle(writer: _Writer, node: fx.Node) -> str:
    if node.args[1] == 1:
        return writer.alias(node)
    # CRD mode has the order of pixel_shuffle.
    inputs = writer.inputs(node, node.args[0])
    return writer.write("DepthToSpace", node, inputs, blocksize=node.args[1], mode="CRD")


def _concatenate(writer: _Writer, node: fx.Node) -> str:
    parts, axis = node.args
    assert isinstance(parts, tuple | list)
    return writer.write("Concat", node, writer.inputs(node, *parts), axis=axis)


def _repeat_interleave(writer: _Writer, node: fx.Node) -> str:
    (picture,) = writer.inputs(node, node.args[0])
    times = int(node.args[1])  # type: ignore[arg-type]
    if writer.channels == 1:
        return writer.write("Concat", node, [picture] * times, axis=1)
    order = writer.constant(f"{node.name}.order", np.repeat(np.arange(writer.channels), times))
    return writer.write("Gather", node, [picture, order], axis=1)


def _interpolate(writer: _Writer, node: fx.Node) -> str:
    if node.kwargs.get("mode") != "nearest":
        raise ValueError(f"interpolation {node.kwargs.get('mode')} has no translation to ONNX")
    factor = float(node.kwargs["scale_factor"])  # type: ignore[arg-type]
    scales = writer.constant(f"{node.name}.scales", np.array([1, 1, factor, factor], np.float32))
    inputs = [*writer.inputs(node, node.args[0]), "", scales]
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return writer.write("Resize", node, inputs, **how)


def _max_pool(writer: _Writer, node: fx.Node) -> str:
    side = [int(node.args[1])] * 2  # type: ignore[arg-type]
    return writer.write("MaxPool", node, writer.inputs(node, node.args[0]), kernel_shape=side, strides=side)


_TRANSLATIONS: dict[Any, Callable[[_Writer, fx.Node], str]] = {
    operator.add: _of_all("Add"),
    operator.sub: _of_all("Sub"),
    operator.mul: _of_all("Mul"),
    F.relu: _of_first("Relu"),
    torch.tanh: _of_first("Tanh"),
    torch.sigmoid: _of_first("Sigmoid"),
    F.leaky_relu: _leaky_relu,
    F.pixel_shuffle: _pixel_shuffle,
    F.interpolate: _interpolate,
    F.max_pool2d: _max_pool,
    torch.cat: _concatenate,
    torch.repeat_interleave: _repeat_interleave,
    # The graph is in full precision in any case.
    "float": lambda writer, node: writer.alias(node),
}
