"""Inspection of a user's own ONNX file: whether it follows the model contract, and what backends must know of it.

The network is not run. The facts come from the ONNX standard's checks and shape inference; only operators on a few
constant numbers are computed, by the standard's reference evaluator.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import vapoursynth as vs
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, defs, helper, inliner, numpy_helper, shape_inference

from vs_srcomp.errors import error, first_line
from vs_srcomp.log import log_once
from vs_srcomp.models.external_tensors import all_nodes, take_in_external_tensors
from vs_srcomp.models.level import LEVEL_INPUT, at_level
from vs_srcomp.models.network import Network
from vs_srcomp.models.receptive_field import Shapes, find_reach

LARGEST_STRIDE = 16
"""Networks with a coarser grid are refused."""

LARGEST_SCALE = 4
"""Networks that enlarge by more are refused."""

# A multiple of every possible stride, and of 32 and 64, to distinguish those strides from sizes that never fit.
_ANY_STRIDE_FITS = 4 * 720720
# Larger tensors are weights, on which the sizes of planes cannot depend.
_SMALL = 64

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)

# Operators that compute sizes and widths of borders.
_SIZE_OPERATORS = (
    "Add Cast Concat Constant ConstantOfShape Div Gather Identity Mul Neg Reshape Slice Squeeze Sub Transpose Unsqueeze"
)


def read_network(path: Path) -> Network:
    """Read a user's own ONNX file.

    Its input must be one luma plane, [N, 1, H, W] float32 with dynamic H and W, and its output one of 1 to 4 times the
    size; a second input may be the level. External tensors must be in its folder. The result is logged once, with the
    SHA-256.

    Raises:
        vs.Error: It cannot be read, or is not such a network.
    """
    try:
        data = path.read_bytes()
    except OSError as reason:
        raise error(
            f"cannot read the model {str(path)!r}: {reason.strerror}", "give the path of an ONNX file"
        ) from reason
    model = _parse(path, data)
    if take_in_external_tensors(path, model) or model.functions:
        model = inliner.inline_local_functions(model)
        data = model.SerializeToString(deterministic=True)
    sha256 = hashlib.sha256(data).hexdigest()
    takes_level = _check(path, model)
    if takes_level or any(tensor.data_type == TensorProto.FLOAT16 for tensor in model.graph.initializer):
        # Sizes and receptive field do not depend on the level. Half precision of weights is only for storage.
        plain = at_level(data, 0)
        model = onnx.load_model_from_string(plain)
        data = data if takes_level else plain
    model = _with_sizes_computed(model)
    shapes, scale = _scale(path, model)
    reach = find_reach(model.graph, shapes, scale)
    network = Network(
        onnx=data,
        sha256=sha256,
        stride=_stride(path, model, scale, reach.grid),
        scale=scale,
        receptive_field=reach.field,
        takes_level=takes_level,
    )
    looks = f"receptive field {reach.field}" if reach.field else f"no bounded receptive field ({reach.obstacle})"
    kind = f"{scale}x network" if scale > 1 else "network"
    kind += " that takes the level" * takes_level
    log_once(f"{path.name}: {kind}, stride {network.stride}, {looks}, SHA-256 {network.sha256}")
    return network


def margin_of(network: Network) -> int | None:
    """Input pixels around a cell (a square of ``network.stride`` pixels) on which its result may depend.

    Returns:
        A multiple of the stride; None if the whole plane may count.

    Raises:
        vs.Error: It is not a network that `read_network` accepts.
    """
    path = Path(network.sha256)
    model = _with_sizes_computed(_parse(path, network.onnx))
    shapes, scale = _scale(path, model)
    reach = find_reach(model.graph, shapes, scale)
    return None if reach.field is None else -(-reach.margin // network.stride) * network.stride


def _refusal(path: Path, what: str) -> vs.Error:
    return error(
        f"{path.name} {what}",
        "give an ONNX file with one input and one output, [N, 1, H, W] float32 with H and W free: luma in, and luma of "
        "1 to 4 times the size out; the level may be a second input, q, [N] float32",
    )


def _parse(path: Path, data: bytes) -> ModelProto:
    try:
        model: ModelProto = onnx.load_model_from_string(data)
    except Exception as reason:  # An error of protobuf, which is not a direct dependency.
        raise _refusal(path, "is not an ONNX file") from reason
    if not model.graph.node:
        raise _refusal(path, "is not an ONNX file, or an empty one")
    return model


def _check(path: Path, model: ModelProto) -> bool:
    """Refuse operators outside the ONNX standard, and inputs and outputs other than one luma plane and the level.

    Returns:
        Whether it takes the level.
    """
    foreign = sorted({node.domain for node in all_nodes(model)} - {"", "ai.onnx"})
    if foreign:
        raise _refusal(path, f"uses operators that are not ONNX's own, of {', '.join(foreign)}")
    newest = defs.onnx_opset_version()
    version = max((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), default=0)
    if version > newest:
        raise _refusal(
            path, f"uses version {version} of ONNX's operators; the installed onnx package supports up to {newest}"
        )
    try:
        checker.check_model(model)
    except (checker.ValidationError, ValueError) as reason:
        raise _refusal(path, f"is not a valid ONNX file: {first_line(reason)}") from reason
    for tensor in model.graph.initializer:
        # Infinity may be a bound; kernels have more than one dimension.
        is_kernel = tensor.data_type in _FLOATS and len(tensor.dims) > 1
        if is_kernel and not np.isfinite(numpy_helper.to_array(tensor)).all():
            what = f"{path.name} has weights that are not finite, in {tensor.name!r}: its training has failed"
            raise error(what, "give a network of an earlier step")
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    takes_level = len(inputs) == 2 and inputs[1].name == LEVEL_INPUT
    if takes_level:
        level = inputs.pop().type.tensor_type
        if level.elem_type != TensorProto.FLOAT or len(level.shape.dim) != 1:
            raise _refusal(path, f"takes levels ({LEVEL_INPUT}) that are not [N] float32")
    for verb, noun, values in (("takes", "inputs", inputs), ("gives", "outputs", model.graph.output)):
        if len(values) != 1:
            raise _refusal(path, f"{verb} {len(values)} {noun}")
        tensor = values[0].type.tensor_type
        sizes = [side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim]
        if tensor.elem_type != TensorProto.FLOAT:
            raise _refusal(path, f"{verb} {_type_name(tensor.elem_type)}; backends choose the precision themselves")
        if not tensor.HasField("shape") and verb == "gives":
            continue
        if len(sizes) != 4:
            raise _refusal(path, f"{verb} {len(sizes)} dimensions")
        if sizes[1] not in (1, None):
            raise _refusal(path, f"{verb} {sizes[1]} channels")
        if sizes[0] not in (1, None) or (sizes[2:] != [None, None] and verb == "takes"):
            shape = ", ".join("free" if side is None else str(side) for side in sizes)
            raise _refusal(path, f"{verb} planes of a fixed size, [{shape}]")
    return takes_level


def _type_name(kind: int) -> str:
    return TensorProto.DataType.Name(kind).lower() if kind in TensorProto.DataType.values() else "no tensor"


def _with_sizes_computed(model: ModelProto) -> ModelProto:
    """The model with operators on a few constant numbers replaced by their results.

    PyTorch exports the widths of borders as a dozen operators, which shape inference does not follow.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer if math.prod(tensor.dims) <= _SMALL}
    nodes = []
    for node in model.graph.node:
        found = None
        if node.op_type in _SIZE_OPERATORS.split() and all(name in constants for name in node.input):
            found = _computed(node, {name: numpy_helper.to_array(constants[name]) for name in node.input}, model)
        if found is not None and found.size <= _SMALL:
            constants[node.output[0]] = numpy_helper.from_array(found, node.output[0])
        else:
            nodes.append(node)
    graph = helper.make_graph(
        nodes,
        "computed",
        model.graph.input,
        model.graph.output,
        [*(tensor for tensor in model.graph.initializer if tensor.name not in constants), *constants.values()],
        sparse_initializer=model.graph.sparse_initializer,
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _computed(node: onnx.NodeProto, feeds: dict[str, NDArray[Any]], model: ModelProto) -> NDArray[Any] | None:
    """The result of one operator on a few numbers; None if it is large, or if the operator fails."""
    from onnx.reference import ReferenceEvaluator

    if node.op_type == "ConstantOfShape" and math.prod(feeds[node.input[0]].tolist()) > _SMALL:
        return None
    inputs = [helper.make_value_info(name, onnx.TypeProto()) for name in feeds]
    outputs = [helper.make_value_info(node.output[0], onnx.TypeProto())]
    alone = helper.make_model(helper.make_graph([node], "alone", inputs, outputs), opset_imports=model.opset_import)
    try:
        (found,) = ReferenceEvaluator(alone).run(None, feeds)
    except Exception:  # Wrong numbers raise anything; backends will report them.
        return None
    return np.asarray(found)


def _scale(path: Path, model: ModelProto) -> tuple[Shapes, int]:
    """Sizes of all values for some large input, and the scale."""
    height, width = _ANY_STRIDE_FITS, 2 * _ANY_STRIDE_FITS
    try:
        shapes = _shapes(model, height, width)
    except shape_inference.InferenceError as reason:
        raise _refusal(path, f"cannot take planes of any size: {first_line(reason)}") from reason
    shape = shapes.get(model.graph.output[0].name)
    if shape is None:
        raise _refusal(path, "does not declare the size of its output")
    for scale in range(1, LARGEST_SCALE + 1):
        if shape == (1, 1, scale * height, scale * width):
            return shapes, scale
    if shape[:2] != (1, 1):
        raise _refusal(path, f"gives {shape[1]} channels")
    times = [f"{made / side:.3g}" for made, side in ((shape[2], height), (shape[3], width))]
    if len({*times}) == 1 and times[0] in {str(scale) for scale in range(1, LARGEST_SCALE + 1)}:
        missing = [int(times[0]) * side - made for made, side in ((shape[2], height), (shape[3], width))]
        raise _refusal(path, f"gives a plane that lacks {missing[0]} rows and {missing[1]} columns: pad its layers")
    raise _refusal(path, f"gives a plane {times[0]} times as high and {times[1]} times as wide")


def _stride(path: Path, model: ModelProto, scale: int, grid: int) -> int:
    """The smallest multiple of ``grid`` such that the network takes all its multiples."""
    for multiple in range(grid, LARGEST_STRIDE + 1, grid):
        # 37 and 41 are coprime: a stride that divides both products divides the multiple.
        sizes = [(37 * multiple, 41 * multiple), (38 * multiple, 37 * multiple), (41 * multiple, 64 * multiple)]
        if all(_keeps_size(model, scale, *size) for size in sizes):
            return multiple
    raise _refusal(path, f"takes only sizes that are multiples of more than {LARGEST_STRIDE}")


def _keeps_size(model: ModelProto, scale: int, height: int, width: int) -> bool:
    try:
        shapes = _shapes(model, height, width)
    except shape_inference.InferenceError:
        return False
    return shapes.get(model.graph.output[0].name) == (1, 1, scale * height, scale * width)


def _shapes(model: ModelProto, height: int, width: int) -> Shapes:
    """Sizes of all values for an input of this size; InferenceError if the network cannot take it."""
    weights = [tensor for tensor in model.graph.initializer if math.prod(tensor.dims) > _SMALL]
    large = {tensor.name for tensor in weights}
    names = {tensor.name for tensor in model.graph.initializer}
    (source,) = (value.name for value in model.graph.input if value.name not in names)
    target = model.graph.output[0]
    # Without the values of weights, and without the sizes that the file declares.
    graph = helper.make_graph(
        model.graph.node,
        "sizes",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, [1, 1, height, width])]
        + [helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in weights],
        [helper.make_empty_tensor_value_info(target.name)],
        [tensor for tensor in model.graph.initializer if tensor.name not in large],
        sparse_initializer=model.graph.sparse_initializer,
    )
    sized = helper.make_model(graph, opset_imports=model.opset_import, ir_version=max(model.ir_version, 4))
    inferred = shape_inference.infer_shapes(sized, check_type=True, strict_mode=True, data_prop=True).graph
    shapes = {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        sides = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(side.HasField("dim_value") for side in sides):
            shapes[value.name] = tuple(side.dim_value for side in sides)
    return shapes
