"""Equalisation of channels: an equivalent network that loses less in 8-bit integers.

The input of a layer has one scale in integers, so the channel with the widest range determines the steps of all others.
Weights have a scale per channel, and steps to spare.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

# Least range of a channel relative to the layer's widest, so that tiny ones are not amplified.
_SMALLEST = 0.01


def equalized(network: bytes, peaks: Sequence[NDArray[np.float32]]) -> bytes:
    """An equivalent network whose channels have the same range after each layer.

    A positive factor commutes with a rectifier: dividing a channel's weights, bias and shift by it, and multiplying
    the next layer's weights for that channel, changes nothing (Nagel et al. 2019, arXiv 1906.04721).

    Args:
        network: An ONNX file of `train.onnx_levels`, for one level or with the level as its second input.
        peaks: The largest magnitude of each output channel of each layer but the last, over all levels.
    """
    model = onnx.load_model_from_string(network)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for index, highest in enumerate(peaks):
        factors = np.maximum(highest, _SMALLEST * highest.max())
        factors = (factors / factors.mean()).astype(np.float64)
        _scale_kernels(tensors, index, 1 / factors.reshape(-1, 1, 1, 1))
        for name in (f"conv{index}.bias", f"conv{index}.biases"):
            if name in tensors:
                _scale(tensors[name], 1 / factors)
        if "table" in tensors:
            # Scales and shifts of all layers, alternating, [knots, layers * 2 * channels].
            channels = len(factors)
            table = np.ones(tuple(tensors["table"].dims))
            table[:, (2 * index + 1) * channels : (2 * index + 2) * channels] = 1 / factors
            _scale(tensors["table"], table)
        _scale_kernels(tensors, index + 1, factors.reshape(1, -1, 1, 1))
    return bytes(model.SerializeToString())


def _scale_kernels(tensors: Mapping[str, onnx.TensorProto], index: int, factors: NDArray[np.float64]) -> None:
    """Scale the kernels (O, I, h, w) of convolution ``index``: one set, or a table with a row per level."""
    if f"conv{index}.weight" in tensors:
        _scale(tensors[f"conv{index}.weight"], factors)
        return
    shape = numpy_helper.to_array(tensors[f"conv{index}.shape"])
    _scale(tensors[f"conv{index}.weights"], np.broadcast_to(factors, shape).reshape(-1))


def _scale(tensor: onnx.TensorProto, factors: NDArray[np.float64]) -> None:
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array((values * factors).astype(values.dtype), tensor.name))
