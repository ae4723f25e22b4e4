"""A network with integer planes as input and output, in ONNX: for libraries that run a whole graph."""

import numpy as np
import onnx
from onnx import TensorProto, helper, version_converter

from vs_srcomp.backends.base import CODES, RESTORED, PlaneFormat
from vs_srcomp.models.graph import Steps, hoist_constants, input_of, residual_of

# The first version with the current form of the operators used here.
_OPSET = 13


def with_integer_planes(
    network: bytes, plane: PlaneFormat, *, stride: int = 1, scale: int = 1, as_bytes: bool = False
) -> bytes:
    """Wrap a network (luma 0..1 in float32) so that its input and output are integer codes of ``plane``.

    `CODES`, [1, 1, height, width], goes in, and `RESTORED`, ``scale`` times as large, comes out. The plane is padded to
    the stride with its last row and column. A global skip is added to the codes themselves, in float32:
    code + residual * code_scale, clamped and rounded, halves to even.

    Args:
        network: An ONNX file with one input and one output in float32, which may compute in float16 in between.
        plane: Size and bits of the codes.
        stride: The network's stride.
        scale: The network's scale.
        as_bytes: Represent codes of more than 8 bits by two uint8, the lower one first (little-endian), because
            TensorRT has no 16-bit integers. The input is then [1, 1, height, 2 * width], and the output has another
            axis of length 2.

    Raises:
        Exception: An error of protobuf or of onnx: not an ONNX file with one input and one output.
    """
    model = onnx.load_model_from_string(network)
    version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if version < _OPSET:
        model = version_converter.convert_version(model, _OPSET)
    graph = model.graph
    hoist_constants(graph)
    source, (target,), residual = input_of(graph), (value.name for value in graph.output), residual_of(graph)
    pairs = as_bytes and plane.dtype is np.uint16
    height, width = plane.height * scale, plane.width * scale
    bottom, right = plane.padding(stride)

    before = Steps(graph, "srcomp.before")
    codes = before.add("Cast", CODES, to=TensorProto.FLOAT)
    if pairs:
        low, high = (
            before.add("Slice", codes, *(before.integers(number) for number in (begin, 2 * plane.width, 3, 2)))
            for begin in (0, 1)
        )
        codes = before.add("Add", low, before.add("Mul", high, before.number(256)))
    padded = codes
    if bottom or right:
        padded = before.add("Pad", codes, before.integers(0, 0, 0, 0, 0, 0, bottom, right), mode="edge")
    before.add("Mul", padded, before.number(1 / plane.code_scale), result=source)

    after = Steps(graph, "srcomp.after")
    output = target if residual is None else residual
    if bottom or right:
        output = after.add("Slice", output, after.integers(0, 0), after.integers(height, width), after.integers(2, 3))
    values = after.add("Mul", output, after.number(plane.code_scale))
    if residual is not None:
        values = after.add("Add", codes, values)
    values = after.add("Round", after.add("Clip", values, after.number(0), after.number(plane.peak)))
    if pairs:
        high = after.add("Floor", after.add("Mul", values, after.number(1 / 256)))
        low = after.add("Sub", values, after.add("Mul", high, after.number(256)))
        shape = after.integers(1, 1, height, width, 1)
        values = after.add("Concat", *(after.add("Reshape", part, shape) for part in (low, high)), axis=4)
    integer = TensorProto.UINT8 if pairs or plane.bits == 8 else TensorProto.UINT16
    after.add("Cast", values, result=RESTORED, to=integer)

    middle = [node for node in graph.node if residual is None or target not in node.output]
    wrapped = helper.make_graph(
        [*before.nodes, *middle, *after.nodes],
        graph.name,
        [helper.make_tensor_value_info(CODES, integer, [1, 1, plane.height, plane.width * (1 + pairs)])],
        [helper.make_tensor_value_info(RESTORED, integer, [1, 1, height, width] + [2] * pairs)],
        list(graph.initializer),
    )
    # From version 4 on, initializers need not be inputs as well.
    version = max(model.ir_version, 8)
    wrapped_model = helper.make_model(
        wrapped, ir_version=version, opset_imports=list(model.opset_import), producer_name="vs-srcomp"
    )
    return bytes(wrapped_model.SerializeToString(deterministic=True))
