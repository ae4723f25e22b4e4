"""Quantisation: layers in 8-bit integers, from a float32 network and the ranges of its layers' inputs.

The input of a layer is rounded to 256 steps over its range, without a zero point: unsigned after a ReLU, otherwise
symmetric. (Matrix units have no fast code for a zero point: OpenVINO would run such a layer in float32.) Weights have a
scale for each output channel. Sums are exact; scales, biases and activations are applied in float32. A layer whose
range is 0 stays as it is.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vs_srcomp.backends.openvino.graph import geometry
from vs_srcomp.backends.openvino.weights import LARGEST_INT8, integer_weights

if TYPE_CHECKING:
    import openvino as ov


def with_integers(model: "ov.Model", ranges: Sequence[float], *, pairs_overflow: bool) -> None:
    """Run the convolutions of ``model`` in 8-bit integers, except the first one and those whose range is 0.

    Args:
        model: A stack of convolutions, which is changed.
        ranges: Largest magnitude of each convolution's input, in order.
        pairs_overflow: Whether the processor adds two products in 16 bits (no VNNI), so that weights must be smaller.

    Raises:
        ValueError: The number of ranges is not that of the convolutions.
    """
    from openvino import opset13 as op

    for convolution, limit in zip(hidden_convolutions(model), ranges, strict=True):
        if not limit:
            continue
        kernels, scales = integer_weights(weights_of(convolution), pairs_overflow=pairs_overflow)
        factors = op.multiply(op.convert(op.constant(kernels), "f32"), scales)
        steps = rounded_to_steps(convolution.input_value(0), limit)
        convolution.output(0).replace(op.convolution(steps, factors, *geometry(convolution)).output(0))


def names_in_integers(model: "ov.Model", ranges: Sequence[float]) -> frozenset[str]:
    """Names of the convolutions that `with_integers` replaces."""
    layers = zip(hidden_convolutions(model), ranges, strict=True)
    return frozenset(convolution.get_name() for convolution, limit in layers if limit)


def hidden_convolutions(model: "ov.Model") -> "list[ov.Node]":
    """All convolutions except those of the picture itself, in order of execution."""
    picture = model.get_parameters()[0]
    convolutions = [node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution"]
    return [node for node in convolutions if node.input_value(0).get_node() != picture]


def weights_of(convolution: "ov.Node") -> NDArray[np.float32]:
    """Its weights, (O, I, h, w)."""
    return np.array(convolution.input_value(1).get_node().data, np.float32)


def rounded_to_steps(features: "ov.Output", limit: float) -> "ov.Node":
    """``features`` rounded to 256 steps up to ``limit``."""
    from openvino import opset13 as op

    if features.get_node().get_type_name() == "Relu":
        bounds = np.float32(0), np.float32(limit)
        return op.fake_quantize(features, *bounds, *bounds, 256)
    # Explicit integer types: for a range around zero, OpenVINO would choose unsigned ones with a zero point.
    step = np.float32(limit / LARGEST_INT8)
    bounds = np.float32(-(LARGEST_INT8 + 1)) * step, np.float32(LARGEST_INT8) * step
    codes = op.fake_quantize(features, *bounds, np.float32(-(LARGEST_INT8 + 1)), np.float32(LARGEST_INT8), 256)
    return op.multiply(op.convert(op.convert(codes, "i8"), "f32"), step)
