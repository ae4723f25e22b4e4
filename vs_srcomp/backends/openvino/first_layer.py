"""The first layer in bfloat16 or 8-bit integers, without the loss of precision that they would cause there.

Rounding the picture and the weights of this layer causes nearly all of the error of our networks in bfloat16 and in
8-bit integers. The layer is 1 to 12 % of the work; in float32 it would take up to a third of the time.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.backends.openvino.graph import HEAVY, geometry
from vs_srcomp.backends.openvino.weights import balanced_integers, nearest_bfloat16

if TYPE_CHECKING:
    import openvino as ov

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
