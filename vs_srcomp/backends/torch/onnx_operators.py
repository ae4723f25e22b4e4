"""ONNX operators in torch, for networks on pictures [N, C, H, W]. Imports torch: import it where it is used.

Those of this package's networks, of the systems in ``train/networks``, and of ArtCNN and FSRCNNX.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper
from torch import Tensor
from torch.nn import functional as F

type Constants = Mapping[str, NDArray[Any]]
"""Weights of a graph by name."""

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


class UnsupportedError(Exception):
    """An unsupported use of an operator; its message completes a sentence that ends in "with"."""


@dataclass(frozen=True)
class Operator:
    """The implementation of one node."""

    run: Callable[..., Tensor]
    """Computes the output from those inputs that are tensors."""
    tensors: int | None = 1
    """Number of inputs that are tensors at run time; the others were read from constants. None: all."""
    in_place: Callable[..., Tensor] | None = None
    """The same, but it may overwrite the first tensor."""


def operator(node: NodeProto, constants: Constants) -> Operator:
    """The implementation of ``node``.

    Raises:
        KeyError: The operator is unsupported.
        UnsupportedError: This use of it is unsupported.
    """
    return _BUILDERS[node.op_type](_Node(node, constants))


class _Node:
    """A node's attributes and constant inputs."""

    def __init__(self, node: NodeProto, constants: Constants) -> None:
        self._attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        self._inputs = list(node.input)
        self._constants = constants

    @property
    def inputs(self) -> int:
        """Number of inputs, omitted ones in between included."""
        return len(self._inputs)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute; strings as str."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def constant(self, index: int, name: str = "") -> list[Any] | None:
        """The numbers of a constant input, or of the attribute ``name`` of older versions."""
        if index >= len(self._inputs) or not self._inputs[index]:
            value = self._attributes.get(name)
            return None if value is None else np.ravel(value).tolist()
        if self._inputs[index] not in self._constants:
            raise UnsupportedError(f"an input {index} that is computed")
        return list(np.ravel(self._constants[self._inputs[index]]).tolist())

    def shape(self, index: int) -> tuple[int, ...]:
        """The shape of a constant input."""
        if self._inputs[index] not in self._constants:
            raise UnsupportedError(f"an input {index} that is computed")
        return self._constants[self._inputs[index]].shape


def _convolution(node: _Node) -> Operator:
    kernel = node.shape(1)[2:]
    if len(kernel) != 2:
        raise UnsupportedError("a kernel that is not of two dimensions")
    strides, dilations = _pair(node, "strides"), _pair(node, "dilations")
    groups = node.attribute("group", 1)
    automatic = node.attribute("auto_pad", "NOTSET")
    top, left, bottom, right = [0] * 4 if automatic == "VALID" else node.attribute("pads", [0] * 4)
    spans = [(side - 1) * dilation + 1 for side, dilation in zip(kernel, dilations, strict=True)]

    def run(picture: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if automatic in ("SAME_UPPER", "SAME_LOWER"):
            sides = []
            for size, stride, span in zip(picture.shape[2:], strides, spans, strict=True):
                total = max((-(-size // stride) - 1) * stride + span - size, 0)
                sides.append((total // 2, total - total // 2)[:: 1 if automatic == "SAME_UPPER" else -1])
            picture = F.pad(picture, (*sides[1], *sides[0]))
            return F.conv2d(picture, weight, bias, strides, 0, dilations, groups)
        if (top, left) != (bottom, right):
            return F.conv2d(F.pad(picture, (left, right, top, bottom)), weight, bias, strides, 0, dilations, groups)
        return F.conv2d(picture, weight, bias, strides, (top, left), dilations, groups)

    return Operator(run, None)


def _transposed_convolution(node: _Node) -> Operator:
    if len(node.shape(1)) != 4:
        raise UnsupportedError("a kernel that is not of two dimensions")
    if node.attribute("auto_pad", "NOTSET") != "NOTSET" or node.attribute("output_shape") is not None:
        raise UnsupportedError("an output whose size is given")
    strides, dilations = _pair(node, "strides"), _pair(node, "dilations")
    top, left, bottom, right = node.attribute("pads", [0] * 4)
    # Less cropping at the end becomes output padding; more cropping happens below.
    extra = node.attribute("output_padding", [0, 0])
    if (top, left) != (bottom, right):
        raise UnsupportedError("different padding at opposite sides")
    groups = node.attribute("group", 1)

    def run(picture: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv_transpose2d(picture, weight, bias, strides, (top, left), extra, groups, dilations)

    return Operator(run, None)


def _leaky_relu(node: _Node) -> Operator:
    slope = node.attribute("alpha", 0.01)
    return Operator(
        partial(F.leaky_relu, negative_slope=slope), 1, partial(F.leaky_relu, negative_slope=slope, inplace=True)
    )


def _parametric_relu(node: _Node) -> Operator:
    return Operator(lambda picture, slope: torch.where(picture < 0, picture * slope, picture), 2)


def _clip(node: _Node) -> Operator:
    low, high = ((node.constant(index, name) or [None])[0] for index, name in ((1, "min"), (2, "max")))
    if low is None and high is None:
        return Operator(lambda picture: picture)
    return Operator(partial(torch.clamp, min=low, max=high))


def _concatenation(node: _Node) -> Operator:
    axis = node.attribute("axis")
    return Operator(lambda *pictures: torch.cat(pictures, axis), None)


def _depth_to_space(node: _Node) -> Operator:
    size = node.attribute("blocksize")
    if node.attribute("mode", "DCR") == "CRD":
        return Operator(partial(F.pixel_shuffle, upscale_factor=size))

    def run(picture: Tensor) -> Tensor:
        batch, channels, height, width = picture.shape
        blocks = picture.reshape(batch, size, size, channels // size**2, height, width)
        return blocks.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, height * size, width * size)

    return Operator(run)


def _space_to_depth(node: _Node) -> Operator:
    size = node.attribute("blocksize")

    def run(picture: Tensor) -> Tensor:
        batch, channels, height, width = picture.shape
        blocks = picture.reshape(batch, channels, height // size, size, width // size, size)
        return blocks.permute(0, 3, 5, 1, 2, 4).reshape(batch, -1, height // size, width // size)

    return Operator(run)


def _padding(node: _Node) -> Operator:
    pads = node.constant(1, "pads")
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}.get(node.attribute("mode", "constant"))
    if pads is None or mode is None:
        raise UnsupportedError(f"the mode {node.attribute('mode')}")
    axes = node.constant(3) or list(range(len(pads) // 2))
    begins, ends = ([0] * 4 for _ in range(2))
    for position, axis in enumerate(axes):
        begins[axis], ends[axis] = pads[position], pads[position + len(axes)]
    if any(begins[:2] + ends[:2]):
        raise UnsupportedError("more pictures or channels")
    sides = (begins[3], ends[3], begins[2], ends[2])
    value = (node.constant(2, "value") or [0.0])[0] if mode == "constant" else None
    return Operator(partial(F.pad, pad=sides, mode=mode, value=value))


def _resizing(node: _Node) -> Operator:
    """Only modes with the same result in torch, which has one rule for each kind of interpolation."""
    is_old = node.inputs == 2  # before version 11
    scales = node.constant(1 if is_old else 2)
    if not scales or len(scales) != 4 or scales[:2] != [1, 1] or any(scale % 1 for scale in scales):
        raise UnsupportedError("factors that are not whole numbers and constant")
    mode = node.attribute("mode", "nearest")
    place = node.attribute("coordinate_transformation_mode", "asymmetric" if is_old else "half_pixel")
    nearest = node.attribute("nearest_mode", "floor" if is_old else "round_prefer_floor")
    if node.attribute("antialias", 0) or node.attribute("exclude_outside", 0):
        raise UnsupportedError("antialias or exclude_outside")
    factors = [float(scale) for scale in scales[2:]]
    match mode, place, nearest:
        case ("nearest", "asymmetric", "floor"):
            same = True
        case ("nearest", "asymmetric", "round_prefer_floor"):
            same = max(factors) <= 2
        case ("nearest", "half_pixel" | "pytorch_half_pixel", "round_prefer_floor" | "round_prefer_ceil"):
            same = True
        case ("linear" | "cubic", "half_pixel" | "pytorch_half_pixel", _):
            same = mode == "linear" or abs(node.attribute("cubic_coeff_a", -0.75) + 0.75) < 1e-6
        case _:
            same = False
    if not same:
        raise UnsupportedError(f"the mode {mode}, {place}")
    if mode == "nearest":
        return Operator(partial(F.interpolate, scale_factor=factors, mode="nearest"))
    kind = {"linear": "bilinear", "cubic": "bicubic"}[mode]
    return Operator(partial(F.interpolate, scale_factor=factors, mode=kind, align_corners=False))


def _cast(node: _Node) -> Operator:
    if node.attribute("to") not in _FLOATS:
        raise UnsupportedError("integers")
    return Operator(lambda picture: picture)


def _pair(node: _Node, name: str) -> Sequence[int]:
    value = node.attribute(name, [1, 1])
    return [int(number) for number in value]


def _plain(run: Callable[..., Tensor], tensors: int | None = 1, in_place: Callable[..., Tensor] | None = None) -> Any:
    """An operator without attributes."""
    return lambda _: Operator(run, tensors, in_place)


_BUILDERS: Mapping[str, Callable[[_Node], Operator]] = {
    "Add": _plain(torch.add, 2),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concatenation,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "DepthToSpace": _depth_to_space,
    "Div": _plain(torch.div, 2),
    "Identity": _plain(lambda picture: picture),
    "LeakyRelu": _leaky_relu,
    "Mul": _plain(torch.mul, 2),
    "PRelu": _parametric_relu,
    "Pad": _padding,
    "Relu": _plain(F.relu, 1, F.relu_),
    "Resize": _resizing,
    "Sigmoid": _plain(torch.sigmoid),
    "SpaceToDepth": _space_to_depth,
    "Sub": _plain(torch.sub, 2),
    "Tanh": _plain(torch.tanh),
}
