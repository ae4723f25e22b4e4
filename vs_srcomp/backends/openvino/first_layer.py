"""The first layer in bfloat16 or 8-bit integers, without the loss of precision that they would cause there.

Rounding the picture and the weights of this layer causes nearly all of the error of our networks in bfloat16 and in
8-bit integers. The layer is 3 to 7 % of the work; in float32 it would take up to a quarter of the time.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vs_srcomp.backends.base import PlaneFormat

if TYPE_CHECKING:
    import openvino as ov

# Operators that do nearly all of the work: reduced precision makes these faster.
HEAVY = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"})

LARGEST_INT8 = 127
"""Largest magnitude of 8-bit weights."""

# Largest sum of two weights of the same sign that one instruction multiplies by codes of neighbouring channels: without
# VNNI the sum of both products has 16 bits. Rounding may add half a step to each of the two.
_LARGEST_PAIR = 32767 // 255 - 1

_LARGEST_CODE = np.float32(255)


def first_layer_in_parts(network: "ov.Model", plane: PlaneFormat) -> None:
    """Run convolutions of the picture itself in bfloat16, with twice its precision.

    Codes and weights are split into sums of two bfloat16 numbers, whose products are added in float32; the relative
    error is 2^-16. Codes of 8 bits fit into one number. A convolution that leads to the output, and not to another
    layer, stays in float32.
    """
    from openvino import opset13 as op

    scale = np.float32(plane.code_scale)
    for luma, convolution, weights in _first_layers(network):
        exact = weights / scale
        upper = nearest_bfloat16(exact)
        codes = op.multiply(luma, scale)
        high = op.convert(codes, "bf16")
        terms = [(high, upper), (high, nearest_bfloat16(exact - upper))]
        if plane.bits > 8:
            terms.append((op.convert(op.subtract(codes, op.convert(high, "f32")), "bf16"), upper))
        planes = op.concat([part for part, _ in terms], 1)
        factors = op.convert(op.constant(np.concatenate([factor for _, factor in terms], 1)), "bf16")
        convolution.output(0).replace(
            op.convert(op.convolution(planes, factors, *geometry(convolution)), "f32").output(0)
        )


def first_layer_in_integers(network: "ov.Model", *, pairs_overflow: bool) -> None:
    """Run convolutions of an 8-bit picture itself in 8-bit integers, with every code exact.

    A convolution that leads to the output, and not to another layer, stays in float32. ``pairs_overflow``: see
    `openvino.integers.with_integers`.
    """
    from openvino import opset13 as op

    for luma, convolution, weights in _first_layers(network):
        kernels, scales = balanced_integers(weights / _LARGEST_CODE, pairs_overflow=pairs_overflow)
        bounds = np.float32(0), _LARGEST_CODE
        codes = op.fake_quantize(op.multiply(luma, _LARGEST_CODE), *bounds, *bounds, 256)
        factors = op.multiply(op.convert(op.constant(kernels.astype(np.int8)), "f32"), scales)
        convolution.output(0).replace(op.convolution(codes, factors, *geometry(convolution)).output(0))


def balanced_integers(
    weights: NDArray[np.float32], *, pairs_overflow: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Integers from -127 to 127 and a scale for each output channel, whose product approximates ``weights``.

    The input of this layer is a difference of a few codes on top of a mean of a hundred. If all weights were rounded to
    the nearest integer, their sum would be off by several steps, and the mean would multiply this error. So weights
    nearly halfway between two integers are rounded to the other side until the sum is right to half a step, and the
    scale corrects the rest. (A form of error diffusion. Later layers do not need it: their input has no such mean.)

    Args:
        weights: (O, I, h, w).
        pairs_overflow: See `openvino.integers.with_integers`.

    Returns:
        Integers as float32 in the shape of ``weights``, and the scales, (O, 1, 1, 1).
    """
    kernels = weights.reshape(len(weights), -1).astype(np.float64)
    integers, scales = np.empty_like(kernels), np.empty(len(kernels))
    # Each of two weights may be one step larger if only their sum is limited.
    steps = weight_steps(weights, pairs_overflow=pairs_overflow, rounding=2)
    for number, (kernel, step) in enumerate(zip(kernels, steps.astype(np.float64), strict=True)):
        # The next larger step that divides the sum, unless the sum is negligible.
        whole = np.trunc(kernel.sum() / step)
        scales[number] = scale = kernel.sum() / whole if abs(whole) > LARGEST_INT8 // 8 else step
        exact = kernel / scale
        rounded = np.rint(exact)
        missing = int(np.rint(exact.sum() - rounded.sum()))
        way = np.sign(missing)
        nearest_to_halfway = np.argsort((rounded - exact) * way)[: abs(missing)]
        rounded[nearest_to_halfway] += way
        integers[number] = rounded
    return integers.astype(np.float32).reshape(weights.shape), scales.astype(np.float32).reshape(-1, 1, 1, 1)


def weight_steps(weights: NDArray[np.float32], *, pairs_overflow: bool, rounding: int = 1) -> NDArray[np.float32]:
    """For each output channel, the smallest step of 8-bit integers for its ``weights``, (O, I, h, w).

    Args:
        weights: (O, I, h, w).
        pairs_overflow: See `openvino.integers.with_integers`.
        rounding: Largest increase of the sum of two weights by rounding.
    """
    steps = np.abs(weights).max((1, 2, 3)) / np.float32(LARGEST_INT8)
    if pairs_overflow:
        steps = np.maximum(steps, largest_pairs(weights) / np.float32(_LARGEST_PAIR + 1 - rounding))
    return np.asarray(np.maximum(steps, np.finfo(np.float32).tiny), np.float32)


def largest_pairs(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each output channel, the largest sum of magnitudes of two weights of the same sign in one instruction.

    The instruction multiplies 8-bit codes by weights of neighbouring input channels, and adds two products in 16 bits.
    """
    padded = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2), (0, 0), (0, 0)))
    pairs = padded.reshape(len(weights), -1, 2, *weights.shape[2:])
    above, below = (part.sum(2).max((1, 2, 3)) for part in (np.maximum(pairs, 0), np.maximum(-pairs, 0)))
    return np.asarray(np.maximum(above, below), np.float32)


def nearest_bfloat16(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Finite ``values`` rounded to bfloat16 (lower 16 bits zero), ties to even."""
    bits = np.array(numbers, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def _first_layers(network: "ov.Model") -> "Iterator[tuple[ov.Output, ov.Node, NDArray[np.float32]]]":
    """Convolutions of the picture itself whose output goes into another layer: input, operator, weights."""
    for port in network.get_parameters()[0].output(0).get_target_inputs():
        node = port.get_node()
        weights = node.input_value(1).get_node() if node.get_type_name() == "Convolution" else None
        if weights is not None and weights.get_type_name() == "Constant" and not _reaches_output(node):
            yield port.get_source_output(), node, np.array(weights.data, np.float32)


def _reaches_output(node: "ov.Node") -> bool:
    """Whether anything but heavy operators lies between ``node`` and the network's output."""
    users = [port.get_node() for output in node.outputs() for port in output.get_target_inputs()]
    return any(
        user.get_type_name() == "Result" or (user.get_type_name() not in HEAVY and _reaches_output(user))
        for user in users
    )


def geometry(convolution: "ov.Node") -> list[Any]:
    """The attributes of a convolution, as arguments for another one."""
    how = convolution.get_attributes()
    return [how[name] for name in ("strides", "pads_begin", "pads_end", "dilations", "auto_pad")]
