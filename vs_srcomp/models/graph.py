"""Tools for ONNX graphs of one picture: finding the skip, and adding operators."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from vs_srcomp.errors import error


def input_of(graph: GraphProto) -> str:
    """Name of the input picture. Old files list their weights among the inputs, too."""
    weights = {tensor.name for tensor in graph.initializer}
    (source,) = (value.name for value in graph.input if value.name not in weights)
    return str(source)


def residual_of(graph: GraphProto) -> str | None:
    """The residual that ``graph`` adds to its input; None if it does not end in such an addition."""
    source = input_of(graph)
    addition = producer(graph, graph.output[0].name)
    if addition is None or addition.op_type != "Add" or list(addition.input).count(source) != 1:
        return None
    (residual,) = (name for name in addition.input if name != source)
    return str(residual)


def hoist_constants(graph: GraphProto) -> None:
    """Turn operators Constant in ``graph`` into initializers.

    Raises:
        vs.Error: One is not a tensor of numbers.
    """
    constants = [node for node in graph.node if node.op_type == "Constant"]
    for node in constants:
        graph.initializer.append(_tensor_of(node))
    replace_nodes(graph, [node for node in graph.node if node.op_type != "Constant"])


def _tensor_of(node: NodeProto) -> TensorProto:
    (attribute,) = (attribute for attribute in node.attribute if attribute.name.startswith(("value", "sparse")))
    value = helper.get_attribute_value(attribute)
    match attribute.name:
        case "value":
            tensor = TensorProto()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
            return tensor
        case "value_float" | "value_floats":
            return numpy_helper.from_array(np.asarray(value, np.float32), node.output[0])
        case "value_int" | "value_ints":
            return numpy_helper.from_array(np.asarray(value, np.int64), node.output[0])
    raise error(f"the network has a constant of the kind {attribute.name}", "export it with plain tensors")


def producer(graph: GraphProto, name: str) -> NodeProto | None:
    """The operator whose result is called ``name``."""
    return next((node for node in graph.node if name in node.output), None)


def replace_nodes(graph: GraphProto, nodes: list[NodeProto]) -> None:
    """Replace the nodes of ``graph``; ``nodes`` may be nodes of ``graph`` itself."""
    # Copy them first: deleting the field invalidates its messages.
    copies = []
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)


class Steps:
    """Builds a list of operators in order of execution; constants go into a graph."""

    def __init__(self, graph: GraphProto, prefix: str) -> None:
        """Put constants into ``graph``; names of values begin with ``prefix``."""
        self.nodes: list[NodeProto] = []
        self._graph = graph
        self._prefix = prefix
        self._names = 0

    def add(self, operator: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Append an operator. Returns the name of its result."""
        name = result or self._name()
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def number(self, value: float) -> str:
        """A constant in float32."""
        return self._constant(np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        """A constant list of integers, such as sizes and axes."""
        return self._constant(np.array(values, np.int64))

    def _constant(self, value: NDArray[Any]) -> str:
        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def _name(self) -> str:
        self._names += 1
        return f"{self._prefix}.{self._names}"
