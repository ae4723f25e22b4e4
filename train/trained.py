"""Networks that have been trained: by a run that is still here, or long ago, as a model in engines/."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import load_file

from train.networks.plain import MEAN, RESIDUAL_SCALE, SPREAD, PlainStack
from train.run import Run

ENGINES = Path(__file__).resolve().parents[1] / "engines"


def load_trained(name: str, runs: Path, engines: Path = ENGINES) -> PlainStack:
    """The network of the run ``name`` below ``runs``, or of the model ``name`` in ``engines``, with its weights.

    Raises:
        ValueError: There is neither.
    """
    weights = Run(runs / name).weights
    if weights.exists():
        state = load_file(weights)
        stride = state["head.weight"].shape[-1] // 3
        network = PlainStack(stride, len(state["head.weight"]), sum(key.endswith("weight") for key in state))
        network.load_state_dict(state)
        return network
    model = engines / f"{name}.onnx"
    if model.exists():
        return from_onnx(model.read_bytes())
    raise ValueError(f"there is no finished run {name!r} in {runs}, and no such model in {engines}: train it first")


@torch.no_grad()
def from_onnx(data: bytes) -> PlainStack:
    """The network whose export ``data`` is; the inverse of ``export.to_onnx``."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(data).graph.initializer}
    layers = len(tensors) // 2
    weights = [tensors[f"conv{index}.weight"] for index in range(layers)]
    biases = [tensors[f"conv{index}.bias"] for index in range(layers)]
    # What effective_weights() folds in is taken out again.
    head = weights[0] * np.float32(SPREAD)
    biases[0] = biases[0] + head.sum(axis=(1, 2, 3)) * np.float32(MEAN / SPREAD)
    weights[0] = head
    weights[-1], biases[-1] = (values / np.float32(RESIDUAL_SCALE) for values in (weights[-1], biases[-1]))
    network = PlainStack(head.shape[-1] // 3, len(head), layers)
    for layer, weight, bias in zip([network.head, *network.body, network.tail], weights, biases, strict=True):
        assert isinstance(layer, torch.nn.Conv2d)
        assert layer.bias is not None
        layer.weight.copy_(torch.from_numpy(weight.copy()))
        layer.bias.copy_(torch.from_numpy(bias.copy()))
    return network
