"""ONNX export of the networks of this project, which take the level."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from train.networks.interpolated import InterpolatedStack
from train.networks.plain import KNOTS, PlainStack
from train.onnx_file import onnx_file

type LevelNetwork = PlainStack | InterpolatedStack
"""A network of this project, which takes the level."""


def levels_to_onnx(network: LevelNetwork, name: str) -> bytes:
    """The ONNX file of ``network``: [N, 1, H, W] float32 in and out, H and W divisible by the network's stride.

    A second input ``q``, float32, is the level: [N], one per picture, for a `PlainStack`; [1], one for all, for an
    `InterpolatedStack`, whose kernels depend on it.

    The graph is built by hand from Conv, Relu, DepthToSpace, one Add, and operators for the level. Every runtime has
    fast code for these, and the graph does not depend on the framework's version.
    """
    graph = _Graph()
    count: str | int
    if isinstance(network, PlainStack):
        layers, count = graph.scaled_layers(network), "N"
    else:
        layers, count = graph.interpolated_layers(network), 1
    last = "degraded"
    for index, layer in enumerate(layers):
        step, pad, kernel = (network.stride, network.stride, 3 * network.stride) if index == 0 else (1, 1, 3)
        inputs = [last, *filter(None, (layer.weight, layer.bias))]
        last = graph.node("Conv", inputs, f"conv{index}", kernel_shape=[kernel] * 2, pads=[pad] * 4, strides=[step] * 2)
        if index == len(layers) - 1:
            break
        if layer.scale and layer.shift:
            last = graph.node("Mul", [last, layer.scale], f"conv{index}.scaled")
            last = graph.node("Add", [last, layer.shift], f"conv{index}.shifted")
        if network.slope:
            last = graph.node("LeakyRelu", [last], f"conv{index}.active", alpha=network.slope)
        else:
            last = graph.node("Relu", [last], f"conv{index}.active")
    # CRD mode has the order of pixel_shuffle.
    last = graph.node("DepthToSpace", [last], "residual", blocksize=network.stride, mode="CRD")
    graph.node("Add", ["degraded", last], "restored")
    taken = [
        helper.make_tensor_value_info("degraded", TensorProto.FLOAT, ["N", 1, "H", "W"]),
        helper.make_tensor_value_info("q", TensorProto.FLOAT, [count]),
    ]
    restored = helper.make_tensor_value_info("restored", TensorProto.FLOAT, ["N", 1, "H", "W"])
    return onnx_file(helper.make_graph(graph.nodes, name, taken, [restored], graph.constants))


@dataclass(frozen=True)
class _Layer:
    """Names of the inputs of a convolution and its activation."""

    weight: str
    bias: str | None = None
    scale: str | None = None
    shift: str | None = None


class _Graph:
    """Nodes and constants, in order of use."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, values: NDArray[Any] | np.number[Any]) -> str:
        # Limits of Clip must be scalars; ascontiguousarray would add an axis.
        self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def kernel(self, index: int, weight: Tensor, bias: Tensor | None) -> tuple[str, str | None]:
        """Names of weight and bias of convolution ``index``."""
        named = self.constant(f"conv{index}.weight", weight.detach().cpu().numpy())
        return named, None if bias is None else self.constant(f"conv{index}.bias", bias.detach().cpu().numpy())

    def scaled_layers(self, network: PlainStack) -> list[_Layer]:
        """Convolutions whose channels are scaled and shifted by functions of the input ``q``."""
        tables = [*self._tables(network), (None, None)]
        kernels = [self.kernel(index, *pair) for index, pair in enumerate(network.kernels())]
        return [_Layer(*kernel, *table) for kernel, table in zip(kernels, tables, strict=True)]

    def interpolated_layers(self, network: InterpolatedStack) -> list[_Layer]:
        """Convolutions whose kernels and biases depend on the input ``q``: tables with a row per level.

        Kernel tables are in half precision, which changes the output by less than a hundredth of a code.
        """
        basis = self._basis(network.levels)
        layers = []
        for index, (weights, biases) in enumerate(network.kernels()):
            stored = weights.detach().cpu().flatten(1).half().numpy()
            table = self.node(
                "Cast", [self.constant(f"conv{index}.weights", stored)], f"conv{index}.table", to=TensorProto.FLOAT
            )
            flat = self.node("MatMul", [basis, table], f"conv{index}.weight.flat")
            shape = self.constant(f"conv{index}.shape", np.array(weights.shape[1:], np.int64))
            weight = self.node("Reshape", [flat, shape], f"conv{index}.weight")
            stored = biases.detach().cpu().numpy()
            flat = self.node("MatMul", [basis, self.constant(f"conv{index}.biases", stored)], f"conv{index}.bias.flat")
            shape = self.constant(f"conv{index}.channels", np.array([-1], np.int64))
            layers.append(_Layer(weight, self.node("Reshape", [flat, shape], f"conv{index}.bias")))
        return layers

    def _basis(self, levels: Sequence[float]) -> str:
        """Weights of linear interpolation between ``levels``, [N, levels], from the input ``q``."""
        knots = np.array(levels, np.float32)
        limits = [
            self.constant(name, np.float32(value)) for name, value in (("lowest", levels[0]), ("highest", levels[-1]))
        ]
        last = self.node("Clip", ["q", *limits], "q.clipped")
        last = self.node("Reshape", [last, self.constant("column", np.array([-1, 1]))], "q.column")
        last = self.node("Sub", [last, self.constant("knots", knots[None])], "q.away")
        last = self.node("Abs", [last], "q.distance")
        last = self.node("Div", [last, self.constant("knots.step", knots[1] - knots[0])], "q.steps")
        last = self.node("Sub", [self.constant("one", np.float32(1)), last], "q.closeness")
        return self.node("Relu", [last], "q.basis")

    def _tables(self, network: PlainStack) -> list[tuple[str, str]]:
        """Names of scale and shift of each hidden layer, [N, channels, 1, 1]."""
        basis = self._basis(KNOTS)
        gains, shifts = (tensor.detach().cpu().numpy() for tensor in (network.gains, network.shifts))
        count, layers, channels = gains.shape
        # The basis sums to 1, so an offset of the table is an offset of the result.
        table = np.stack([1 + gains, shifts], 2).reshape(count, layers * 2 * channels)
        last = self.node("MatMul", [basis, self.constant("table", table)], "q.all")
        names = [f"conv{layer}.{kind}" for layer in range(layers) for kind in ("scale", "shift")]
        sizes = self.constant("channels", np.full(len(names), channels, np.int64))
        flat = [f"{name}.flat" for name in names]
        self.nodes.append(helper.make_node("Split", [last, sizes], flat, axis=1))
        shape = self.constant("per.channel", np.array([-1, channels, 1, 1]))
        made = [self.node("Reshape", [source, shape], name) for source, name in zip(flat, names, strict=True)]
        return list(zip(made[::2], made[1::2], strict=True))
