"""Weights in reduced precision: 8-bit integers with a scale for each output channel, and bfloat16."""

import numpy as np
from numpy.typing import NDArray

LARGEST_INT8 = 127
"""Largest magnitude of 8-bit weights."""

# Largest sum of two weights of the same sign that one instruction multiplies by codes of neighbouring channels: without
# VNNI the sum of both products has 16 bits.
_LARGEST_PAIR = 32767 // 255


def integer_weights(
    weights: NDArray[np.float32], *, pairs_overflow: bool
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Integers and a scale for each output channel, whose product approximates ``weights``.

    Args:
        weights: (O, I, h, w).
        pairs_overflow: See `openvino.integers.with_integers`.

    Returns:
        Integers in the shape of ``weights``, and the scales, (O, 1, 1, 1).
    """
    steps = weight_steps(weights, pairs_overflow=pairs_overflow)
    scales = steps.reshape(-1, 1, 1, 1)
    return np.rint(weights / scales).astype(np.int8), scales


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
        rounding: Largest increase of the sum of two weights by rounding: half a step for each, or more.
    """
    steps = np.abs(weights).max((1, 2, 3)) / np.float32(LARGEST_INT8)
    if pairs_overflow:
        steps = np.maximum(steps, largest_pairs(weights) / np.float32(_LARGEST_PAIR - rounding))
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
    """Finite ``numbers`` rounded to bfloat16 (lower 16 bits zero), ties to even."""
    bits = np.array(numbers, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
