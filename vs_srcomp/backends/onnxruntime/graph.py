"""A network that takes and gives planes of integers, as ONNX of which ONNX Runtime has every operator."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper, version_converter

from vs_srcomp.backends.base import PlaneFormat, padding
from vs_srcomp.errors import error
from vs_srcomp.models.half import input_of, residual_of
from vs_srcomp.models.network import Network

_PREFIX = "srcomp."

# The operators used here have their present form from this version on.
_OPSET = 13


def with_integer_planes(network: Network, plane: PlaneFormat) -> bytes:
    """Wrap ``network`` (luma 0..1 in float32) so that it takes and gives integer codes of ``plane``.

    [1, 1, height, width] in, and ``network.scale`` times the size out. The plane is padded to the network's stride with
    its last row and column. Where the network ends in an addition of its own input, the addition is done on the codes.

    Raises:
        vs.Error: This is no ONNX file with one input and one output.
    """
    try:
        model = onnx.load_model_from_string(network.onnx)
        version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
        if version < _OPSET:
            model = version_converter.convert_version(model, _OPSET)
        graph = model.graph
        source, (target,), residual = input_of(graph), (value.name for value in graph.output), residual_of(graph)
    except Exception as reason:  # That of protobuf, or of a graph of another form.
        raise error(
            "not a network that ONNX Runtime can read", "give an ONNX file with one input and one output, [N, 1, H, W]"
        ) from reason

    integer = TensorProto.UINT8 if plane.bits == 8 else TensorProto.UINT16
    steps = _Steps(graph)
    codes = steps.add("Cast", f"{_PREFIX}codes", to=TensorProto.FLOAT)
    bottom, right = padding(network, plane)
    padded = codes
    if bottom or right:
        padded = steps.add("Pad", codes, steps.integers(0, 0, 0, 0, 0, 0, bottom, right), mode="edge")
    steps.add("Mul", padded, steps.number(1 / plane.code_scale), result=source)
    steps.nodes += [node for node in graph.node if residual is None or target not in node.output]

    height, width = plane.height * network.scale, plane.width * network.scale
    output = target if residual is None else residual
    if bottom or right:
        output = steps.add("Slice", output, steps.integers(0, 0), steps.integers(height, width), steps.integers(2, 3))
    values = steps.add("Mul", output, steps.number(plane.code_scale))
    if residual is not None:
        values = steps.add("Add", codes, values)
    values = steps.add("Round", steps.add("Clip", values, steps.number(0), steps.number(plane.peak)))
    steps.add("Cast", values, result=f"{_PREFIX}restored", to=integer)

    wrapped = helper.make_graph(
        steps.nodes,
        graph.name,
        [helper.make_tensor_value_info(f"{_PREFIX}codes", integer, [1, 1, plane.height, plane.width])],
        [helper.make_tensor_value_info(f"{_PREFIX}restored", integer, [1, 1, height, width])],
        list(graph.initializer),
    )
    model.graph.CopyFrom(wrapped)
    # From version 4 on, initializers need not be inputs as well.
    model.ir_version = max(model.ir_version, 8)
    return bytes(model.SerializeToString())


class _Steps:
    """Operators in the order in which they run; their constants go into ``graph``."""

    def __init__(self, graph: GraphProto) -> None:
        self.nodes: list[NodeProto] = []
        self._graph = graph

    def add(self, operator: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Append an operator; returns the name of its result."""
        name = result or f"{_PREFIX}value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def number(self, value: float) -> str:
        """A constant in float32."""
        return self._constant(np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        """A constant list, such as sizes and axes."""
        return self._constant(np.array(values, np.int64))

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"{_PREFIX}constant{len(self._graph.initializer)}"
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name
