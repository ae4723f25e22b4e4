"""Conversion of a network that takes the compression level into a plain network for one level.

At a fixed level, everything that the network computes from it is constant: it is computed here, and scales and shifts
of channels are folded into the weights and biases of convolutions. Convolutions, activations and the skip remain, as in
a network for a single level, at the same speed in every backend.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vs_srcomp.models.network import Network

LEVEL_INPUT = "q"
"""Name of the input for the level, [N] float32, 0 to 63."""

type _Array = NDArray[Any]

# Networks at a level are cheap to make again.
_KEPT = 8

# ONNX's types of weights and levels.
_TYPES: Mapping[int, type[np.generic]] = {1: np.float32, 6: np.int32, 7: np.int64, 10: np.float16, 11: np.float64}
_NUMBERS: Mapping[type[np.generic], int] = {kind: number for number, kind in _TYPES.items()}


@lru_cache(maxsize=_KEPT)
def network_at(network: Network, q: float) -> Network:
    """``network`` at the level ``q``, 0 to 63; unchanged if it takes no level."""
    if not network.takes_level:
        return network
    onnx = at_level(network.onnx, q)
    name = network.name and f"{network.name} at Q {q:g}"
    sha256 = hashlib.sha256(onnx).hexdigest()
    return replace(network, onnx=onnx, sha256=sha256, name=name, takes_level=False, made_from=network.sha256)


def at_level(onnx: bytes, q: float) -> bytes:
    """An ONNX network with its second input, the level, fixed at ``q``, and constants folded.

    Scales and shifts of channels become part of the weights and biases of convolutions; weights in half precision
    become float32. For every picture, the result is that of the network at ``q``, to the rounding of float32. In a
    network without that input, only constants are folded and copies removed.

    Args:
        onnx: A network with a picture as its first input and, optionally, the level as its second one; no external
            tensors.
        q: 0 to 63.
    """
    model = _messages().ModelProto.FromString(onnx)
    graph = model.graph
    values = {tensor.name: _array(tensor) for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in values]
    values |= {name: np.full(1, q, np.float32) for name in inputs[1:]}
    nodes = [node for node in graph.node if not _compute(node, values, model)]
    outputs = {value.name for value in graph.output}
    in_branches = {name for node in nodes for name in _names_in_branches(node)}
    if not in_branches:  # otherwise, what is renamed or merged may be needed there
        nodes = _with_merged_channels(_without_copies(nodes, outputs), values, outputs)

    needed = {name for node in nodes for name in node.input} | outputs | in_branches
    picture = next(value for value in graph.input if value.name == inputs[0])
    plain = _messages().ModelProto()
    plain.CopyFrom(model)
    for field in ("node", "initializer", "input", "value_info"):
        plain.graph.ClearField(field)
    plain.graph.input.append(picture)
    plain.graph.node.extend(nodes)
    plain.graph.initializer.extend(_tensor(name, values[name]) for name in values if name in needed)
    return bytes(plain.SerializeToString(deterministic=True))


def _compute(node: Any, values: dict[str, _Array], model: Any) -> bool:
    """Whether ``node`` depends on ``values`` alone; if so, its result is added to them."""
    if node.op_type == "Constant":
        (attribute,) = node.attribute
        if attribute.name == "value":
            values[node.output[0]] = _array(attribute.t)
            return True
    elif any(name and name not in values for name in node.input) or _names_in_branches(node):
        return False
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    known = _OPERATORS.get((node.op_type, len(node.input)))
    if known is None or not all(node.input) or not _is_simple(node, attributes, values):
        found: Sequence[_Array] = _by_reference(node, values, model)
    else:
        found = known(attributes, *(values[name] for name in node.input))
    values.update(zip(node.output, found, strict=False))
    return True


def _is_simple(node: Any, attributes: Mapping[str, int], values: Mapping[str, _Array]) -> bool:
    """Whether NumPy computes one of `_OPERATORS` as ONNX defines it."""
    if node.op_type == "Cast":
        return attributes["to"] in _TYPES
    # ONNX divides whole numbers without a rest.
    return node.op_type != "Div" or values[node.input[0]].dtype.kind == "f"


def _names_in_branches(node: Any) -> set[str]:
    """The inputs of all operators in the graphs that ``node`` may run, as If and Loop do."""
    graphs = [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs)]
    inner = [node for graph in graphs for node in graph.node]
    return {name for node in inner for name in (*node.input, *_names_in_branches(node))}


def _without_copies(nodes: Sequence[Any], outputs: set[str]) -> list[Any]:
    """``nodes`` without copies, which exporters put at the end, where the skip is expected."""
    names: dict[str, str] = {}
    kept: list[Any] = []
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        if node.op_type != "Identity" or (node.output[0] in outputs and not kept):
            kept.append(node)
        elif node.output[0] in outputs:
            # The output keeps its name: the copied value is renamed.
            _rename(kept, node.input[0], node.output[0])
            names[node.input[0]] = node.output[0]
        else:
            names[node.output[0]] = node.input[0]
    return kept


def _rename(nodes: Sequence[Any], before: str, after: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [after if name == before else name for name in names]


def _with_merged_channels(nodes: Sequence[Any], values: dict[str, _Array], outputs: set[str]) -> list[Any]:
    """``nodes`` with scales and shifts of channels folded into the weights of convolutions."""
    uses = Counter(name for node in nodes for name in node.input) + Counter(outputs)
    kept: list[Any] = []
    convolutions: dict[str, Any] = {}  # By the name of their output, if nothing else needs it.
    for node in nodes:
        found = _of_channels(node, convolutions, values)
        if found is not None:
            convolution, number = found
            _merge(convolution, node.op_type, number, values)
            del convolutions[convolution.output[0]]
            convolution.output[0] = node.output[0]
            node = convolution
        else:
            kept.append(node)
        if node.op_type == "Conv" and all(name in values for name in node.input[1:]) and uses[node.output[0]] == 1:
            convolutions[node.output[0]] = node
    return kept


def _of_channels(node: Any, convolutions: Mapping[str, Any], values: Mapping[str, _Array]) -> tuple[Any, _Array] | None:
    """The convolution whose channels ``node`` scales or shifts, and the number for each channel."""
    if node.op_type not in ("Mul", "Add"):
        return None
    for picture, other in (node.input, reversed(node.input)):
        if picture in convolutions and other in values:
            channels = len(values[convolutions[picture].input[1]])
            shape = (1,) * (4 - values[other].ndim) + values[other].shape
            if shape in ((1, channels, 1, 1), (1, 1, 1, 1)):
                return convolutions[picture], np.broadcast_to(values[other].reshape(-1), channels)
    return None


def _merge(convolution: Any, operator: str, number: _Array, values: dict[str, _Array]) -> None:
    """Fold a scale or shift of channels by ``number`` into ``convolution``."""
    # Under new names, because weights may be shared.
    weights, bias = (f"{convolution.output[0]}.{part}" for part in ("weight at level", "bias at level"))
    kernels = values[convolution.input[1]]
    before = values[convolution.input[2]] if len(convolution.input) > 2 and convolution.input[2] else np.float32(0)
    is_factor = operator == "Mul"
    values[weights] = kernels * number.reshape(-1, 1, 1, 1) if is_factor else kernels
    values[bias] = np.asarray(before * number if is_factor else before + number, kernels.dtype)
    convolution.input[:] = [convolution.input[0], weights, bias]


def _cast(attributes: Mapping[str, int], array: _Array) -> tuple[_Array]:
    return (array.astype(_TYPES[attributes["to"]]),)


def _reshape(attributes: Mapping[str, int], array: _Array, shape: _Array) -> tuple[_Array]:
    # 0 means the size of the input.
    return (array.reshape([side or array.shape[axis] for axis, side in enumerate(shape.tolist())]),)


def _split(attributes: Mapping[str, int], array: _Array, sizes: _Array) -> list[_Array]:
    return np.split(array, np.cumsum(sizes)[:-1], attributes.get("axis", 0))


# The operators on levels in our networks, by name and number of inputs. Others are computed by a library that takes
# 0.1 s to import.
_OPERATORS: Mapping[tuple[str, int], Callable[..., Sequence[_Array]]] = {
    ("Abs", 1): lambda _, array: (np.abs(array),),
    ("Add", 2): lambda _, one, other: (one + other,),
    ("Cast", 1): _cast,
    ("Clip", 3): lambda _, array, lowest, highest: (np.clip(array, lowest, highest),),
    ("Div", 2): lambda _, one, other: (one / other,),
    ("MatMul", 2): lambda _, one, other: (one @ other,),
    ("Mul", 2): lambda _, one, other: (one * other,),
    ("Relu", 1): lambda _, array: (np.maximum(array, 0),),
    ("Reshape", 2): _reshape,
    ("Split", 2): _split,
    ("Sub", 2): lambda _, one, other: (one - other,),
}


def _by_reference(node: Any, values: Mapping[str, _Array], model: Any) -> list[_Array]:
    """The result of ``node``, by the standard's reference evaluator."""
    from onnx import NodeProto, TypeProto, helper
    from onnx.reference import ReferenceEvaluator

    inputs, outputs = (
        [helper.make_value_info(name, TypeProto()) for name in dict.fromkeys(names) if name]
        for names in (node.input, node.output)
    )
    copy = NodeProto.FromString(node.SerializeToString())
    opsets = [helper.make_opsetid(entry.domain, entry.version) for entry in model.opset_import]
    alone = helper.make_model(helper.make_graph([copy], "alone", inputs, outputs), opset_imports=opsets)
    return [
        np.asarray(found)
        for found in ReferenceEvaluator(alone).run(None, {name.name: values[name.name] for name in inputs})
    ]


def _array(tensor: Any) -> _Array:
    kind = _TYPES.get(tensor.data_type)
    if kind is None or not tensor.HasField("raw_data"):
        from onnx import TensorProto, numpy_helper

        return np.asarray(numpy_helper.to_array(TensorProto.FromString(tensor.SerializeToString())))
    return np.frombuffer(tensor.raw_data, np.dtype(kind).newbyteorder("<")).reshape(tuple(tensor.dims))


def _tensor(name: str, array: _Array) -> Any:
    if array.dtype.type not in _NUMBERS:
        from onnx import numpy_helper

        return _messages().TensorProto.FromString(numpy_helper.from_array(array, name).SerializeToString())
    raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return _messages().TensorProto(name=name, dims=array.shape, data_type=_NUMBERS[array.dtype.type], raw_data=raw)


@lru_cache(maxsize=1)
def _messages() -> Any:
    """The classes of ONNX's messages alone: the whole package takes three times as long to import."""
    package = find_spec("onnx")
    folders = package.submodule_search_locations if package else None
    file = Path(folders[0], "onnx_ml_pb2.py") if folders else Path()
    spec = spec_from_file_location("vs_srcomp.models.onnx_messages", file) if file.is_file() else None
    if spec is None or spec.loader is None:
        import onnx

        return onnx
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
