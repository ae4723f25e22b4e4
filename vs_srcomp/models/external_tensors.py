"""External tensors of ONNX files: read only from the file's own folder."""

import itertools
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from vs_srcomp.errors import error


def take_in_external_tensors(path: Path, model: ModelProto) -> bool:
    """Replace references to other files by their content.

    Args:
        path: The model's file. The other files must be in its folder; links that lead out of it are refused, too.
        model: Its content, changed in place.

    Returns:
        Whether there were any.

    Raises:
        vs.Error: A file is elsewhere, is missing, or is too short.
    """
    graphs = itertools.chain([model.graph], *(_subgraphs(node) for node in all_nodes(model)))
    tensors = itertools.chain(
        *(graph.initializer for graph in graphs),
        *(_attribute_tensors(node) for node in all_nodes(model)),
    )
    external = [tensor for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL]
    for tensor in external:
        entry = {pair.key: pair.value for pair in tensor.external_data}
        tensor.raw_data = _read_external(path, tensor.name, entry)
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
    return bool(external)


def all_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """All operators of a model, including those of functions and branches."""
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [inner for graph in _subgraphs(node) for inner in graph.node]


def _subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _attribute_tensors(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors


def _read_external(path: Path, tensor: str, entry: dict[str, str]) -> bytes:
    """The target of a reference, if it is in the model's folder."""
    location = entry.get("location", "")
    names = PureWindowsPath(location)  # It accepts both kinds of slashes.
    folder = path.parent.resolve()
    file = (folder / location).resolve()
    if names.anchor or PurePosixPath(location).anchor or ".." in names.parts or not file.is_relative_to(folder):
        raise error(
            f"{path.name} keeps the tensor {tensor!r} outside its own folder, in {location!r}",
            "put the file with the tensors into the folder of the model; a model that may read any file is not trusted",
        )
    try:
        offset, length = int(entry.get("offset", "0")), int(entry.get("length", "-1"))
        if offset < 0 or not stat.S_ISREG(file.stat().st_mode):
            raise ValueError
        with file.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(length)
        if not data or 0 <= length != len(data):
            raise ValueError
    except (OSError, ValueError) as reason:
        raise error(
            f"{path.name} keeps the tensor {tensor!r} in {location!r}, which is not there or too short",
            "put the complete file with the tensors into the folder of the model",
        ) from reason
    return data
