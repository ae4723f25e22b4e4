"""Conversion of a network to half precision: the residual in float16, the picture itself in float32."""

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from vs_srcomp.errors import error
from vs_srcomp.models.graph import hoist_constants, input_of, producer, replace_nodes, residual_of

# Inputs that the standard requires in float32, by operator.
_ALWAYS_FLOAT = {"Resize": (1, 2), "Upsample": (1,)}


def to_half(network: bytes) -> bytes:
    """Convert an ONNX network to float16, with float32 at its input and output.

    If the network ends in an addition of its own input, that addition stays in float32, so that only the residual is
    rounded.

    Args:
        network: An ONNX file with one input and one output in float32; tensors must be inside it.

    Raises:
        vs.Error: A weight is too large for float16, or the graph has branches.
    """
    model = onnx.load_model_from_string(network)
    graph = model.graph
    hoist_constants(graph)
    source, target = input_of(graph), graph.output[0].name
    residual = residual_of(graph)
    _convert_weights(graph)
    for node in graph.node:
        _convert_node(node, source)
    del graph.value_info[:]

    begin = helper.make_node("Cast", [source], [_half(source)], to=TensorProto.FLOAT16)
    if residual is None:
        _rename_output(graph, target)
        end = helper.make_node("Cast", [_half(target)], [target], to=TensorProto.FLOAT)
        nodes = [begin, *graph.node, end]
    else:
        addition = producer(graph, target)
        assert addition is not None
        whole = f"{residual}.float"
        end = helper.make_node("Cast", [residual], [whole], to=TensorProto.FLOAT)
        # The addition is not always the last node in the list.
        inputs = [source, whole]
        nodes = [begin, *(node for node in graph.node if node is not addition), end]
        nodes.append(helper.make_node("Add", inputs, [target]))
    replace_nodes(graph, nodes)
    return _serialized(model)


def _convert_weights(graph: GraphProto) -> None:
    """Convert float32 weights to float16. Those that an operator requires in float32 are kept under another name."""
    whole = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    kept = set()
    for node in graph.node:
        for index in _ALWAYS_FLOAT.get(node.op_type, ()):
            if index < len(node.input) and node.input[index] in whole:
                kept.add(node.input[index])
                node.input[index] = f"{node.input[index]}.float"
    extra = [numpy_helper.from_array(numpy_helper.to_array(whole[name]), f"{name}.float") for name in sorted(kept)]
    for tensor in whole.values():
        numbers = numpy_helper.to_array(tensor)
        if numbers.size and np.abs(numbers).max() > np.finfo(np.float16).max:
            raise error(
                f"the weights {tensor.name!r} of the network are too large for half precision", 'use precision="f32"'
            )
        tensor.CopyFrom(numpy_helper.from_array(numbers.astype(np.float16), tensor.name))
    graph.initializer.extend(extra)


def _convert_node(node: NodeProto, source: str) -> None:
    for index, name in enumerate(node.input):
        if name == source:
            node.input[index] = _half(source)
    for attribute in node.attribute:
        if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            raise error(f"the network branches ({node.op_type})", 'use precision="f32"')
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16


def _rename_output(graph: GraphProto, target: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == target:
                    names[index] = _half(target)


def _half(name: str) -> str:
    return f"{name}.half"


def _serialized(model: ModelProto) -> bytes:
    return bytes(model.SerializeToString(deterministic=True))
