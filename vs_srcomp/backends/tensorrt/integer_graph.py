"""A network that takes and gives planes of integers, as ONNX: for libraries that run the whole of a graph."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper, version_converter

from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.backends.device_pipeline import CODES, RESTORED
from vs_srcomp.models.half import hoist_constants, input_of, residual_of

# The operators used here have their present form from this version on.
_OPSET = 13


def with_integer_planes(network: bytes, plane: PlaneFormat, height: int, width: int, scale: int = 1) -> bytes:
    """Wrap a network (luma 0..1 in float32) so that it takes and gives the bytes of integer planes of one size.

    TensorRT knows no 16-bit integers: input and output are always uint8, and a code of more than 8 bits is two of
    them, the lower first, as little-endian memory has it. The input is [1, 1, height, width * bytes]; the output is
    [1, 1, height * scale, width * scale], and has one more axis of two for two bytes.

    A global skip is added to the codes themselves, in float32: code + residual * code_scale, clamped and rounded.

    Args:
        network: An ONNX file with one input and one output in float32, which may compute in float16 in between.
        plane: Says what the codes mean.
        height: Of the planes, which the network's stride must divide.
        width: Likewise.
        scale: Of the network.
    """
    model = onnx.load_model_from_string(network)
    version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if version < _OPSET:
        model = version_converter.convert_version(model, _OPSET)
    graph = model.graph
    hoist_constants(graph)
    source, target, residual = input_of(graph), graph.output[0].name, residual_of(graph)
    is_wide = plane.dtype is np.uint16

    before = _Steps(graph, "srcomp.before")
    codes = before.add("Cast", CODES, to=TensorProto.FLOAT)
    if is_wide:
        low, high = (before.every_second(codes, begin, 2 * width) for begin in (0, 1))
        codes = before.add("Add", low, before.add("Mul", high, before.number(256)))
    before.add("Mul", codes, before.number(1 / plane.code_scale), result=source)

    after = _Steps(graph, "srcomp.after")
    values = after.add("Mul", target if residual is None else residual, after.number(plane.code_scale))
    if residual is not None:
        values = after.add("Add", codes, values)
    values = after.add("Min", after.add("Max", values, after.number(0)), after.number(plane.peak))
    # There are no negative values: this is rounding to the nearest.
    values = after.add("Floor", after.add("Add", values, after.number(0.5)))
    if is_wide:
        high = after.add("Floor", after.add("Mul", values, after.number(1 / 256)))
        low = after.add("Sub", values, after.add("Mul", high, after.number(256)))
        shape = after.constant(np.array([1, 1, height * scale, width * scale, 1], np.int64))
        values = after.add("Concat", *(after.add("Reshape", part, shape) for part in (low, high)), axis=4)
    after.add("Cast", values, result=RESTORED, to=TensorProto.UINT8)

    middle = [node for node in graph.node if residual is None or target not in node.output]
    nodes = [*before.nodes, *middle, *after.nodes]
    shape_out = [1, 1, height * scale, width * scale] + [2] * is_wide
    wrapped = helper.make_graph(
        nodes,
        graph.name,
        [helper.make_tensor_value_info(CODES, TensorProto.UINT8, [1, 1, height, width * (1 + is_wide)])],
        [helper.make_tensor_value_info(RESTORED, TensorProto.UINT8, shape_out)],
        list(graph.initializer),
    )
    wrapped_model = helper.make_model(
        wrapped, ir_version=max(model.ir_version, 8), opset_imports=list(model.opset_import), producer_name="vs-srcomp"
    )
    return bytes(wrapped_model.SerializeToString(deterministic=True))


class _Steps:
    """Operators in the order in which they are added, with their constants in ``graph``."""

    def __init__(self, graph: GraphProto, prefix: str) -> None:
        self.nodes: list[NodeProto] = []
        self._graph = graph
        self._prefix = prefix
        self._names = 0

    def add(self, operator: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Append an operator; returns the name of its result."""
        name = result or self._name()
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def every_second(self, name: str, begin: int, end: int) -> str:
        """Every second element of the last of four axes."""
        bounds = (self.constant(np.array([number], np.int64)) for number in (begin, end, 3, 2))
        return self.add("Slice", name, *bounds)

    def number(self, value: float) -> str:
        """A constant in float32."""
        return self.constant(np.array(value, np.float32))

    def constant(self, value: NDArray[Any]) -> str:
        """Any constant."""
        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def _name(self) -> str:
        self._names += 1
        return f"{self._prefix}.{self._names}"
