"""Merging of networks for one level each into one that interpolates between them, as a start for training."""

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, NodeProto, numpy_helper
from torch import Tensor

from train.networks.interpolated import InterpolatedStack
from train.run import save_weights


def merge_levels(files: Sequence[Path], levels: Sequence[float], out: Path) -> InterpolatedStack:
    """Write the weights of an `InterpolatedStack` that equals the network of one of ``files`` at each of ``levels``.

    Args:
        files: ONNX files of `train.onnx_levels`, or of releases before 0.3, for one level each, of the same
            architecture.
        levels: Levels of the files, in equal steps.
        out: File of the weights. ``start`` of a recipe finds ``WORK/runs/NAME/weights.safetensors`` by NAME.

    Raises:
        ValueError: There are not as many files as levels, one is not an ONNX file, or one has another architecture.
    """
    if len(files) != len(levels):
        raise ValueError(f"{len(levels)} levels need as many files, not {len(files)}")
    models = [_read(path) for path in files]
    forms = [_form(model, path) for model, path in zip(models, files, strict=True)]
    for form, path in zip(forms, files, strict=True):
        if form != forms[0]:
            raise ValueError(f"{path} has another form than {files[0]}")
    stride, channels, layers, slope = forms[0]
    network = InterpolatedStack(stride=stride, channels=channels, layers=layers, slope=slope, levels=levels)
    network.set_kernels([_kernels(model) for model in models])
    out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(out, network)
    return network


def _read(path: Path) -> ModelProto:
    try:
        return onnx.load(path)
    except DecodeError as reason:
        raise ValueError(f"{path} is not an ONNX file ({reason})") from reason


def _form(model: ModelProto, path: Path) -> tuple[int, int, int, float]:
    """Stride, channels, layers and slope of a stack of convolutions."""
    convolutions = _convolutions(model)
    kinds = [node.op_type for node in model.graph.node]
    hidden = ["Conv", "LeakyRelu"] * (len(convolutions) - 1)
    is_stack = kinds in ([*hidden, "Conv", "DepthToSpace", "Add"], [*_rectified(hidden), "Conv", "DepthToSpace", "Add"])
    if not is_stack or len(model.graph.input) != 1:
        raise ValueError(f"{path} is not a plain stack of convolutions for one level")
    slopes = [a.f for node in model.graph.node for a in node.attribute if node.op_type == "LeakyRelu"]
    strides = next(a.ints for a in convolutions[0].attribute if a.name == "strides")
    channels = len(_kernels(model)[0][0])
    return int(strides[0]), channels, len(convolutions), round(slopes[0], 6) if slopes else 0.0


def _rectified(kinds: Sequence[str]) -> list[str]:
    return ["Relu" if kind == "LeakyRelu" else kind for kind in kinds]


def _convolutions(model: ModelProto) -> list[NodeProto]:
    return [node for node in model.graph.node if node.op_type == "Conv"]


def _kernels(model: ModelProto) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return [
        (torch.from_numpy(values[node.input[1]].copy()).float(), torch.from_numpy(values[node.input[2]].copy()).float())
        for node in _convolutions(model)
    ]
