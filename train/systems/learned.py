"""Trained upscaling methods: a network, several passes of it, the mean of eight views."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.degradations.resample import lanczos5
from train.networks.network import Network
from train.systems.classic import Enlarger, Plane
from vs_srcomp.backends.loading import load_openvino

PEAK = 255


def device() -> torch.device:
    """A CUDA card if there is one, otherwise the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def enlarger(network: Network, *, passes: int = 1, ensemble: bool = False, output: int = 0) -> Enlarger:
    """An upscaling method that uses ``network`` and rounds to 8 bits.

    A network of scale 1 gets the picture upscaled by Lanczos-5.

    Args:
        network: A luma network. The method's scale is that of the network to the power of ``passes``.
        passes: Number of passes, each on the rounded output of the last.
        ensemble: Whether to average over eight rotations and flips (Timofte et al. 2016, arXiv 1511.02228), which
            takes eight times as long.
        output: Index of the network's output.
    """
    restore = _runner(network, output)

    def enlarge(plane: Plane, scale: int) -> Plane:
        if network.scale not in (1, scale) and network.scale**passes != scale:
            raise ValueError(f"a network of scale {network.scale} cannot enlarge by {scale}")
        if network.scale == 1 and scale > 1:
            plane = lanczos5(plane, plane.shape[0] * scale, plane.shape[1] * scale)
        for _ in range(passes):
            plane = rounded(mean_of_views(restore, plane) if ensemble else restore(plane))
        return plane

    return enlarge


def _runner(network: Network, output: int) -> Callable[[Plane], NDArray[np.float32]]:
    """A function from a plane to the output of ``network`` in 0..255: PyTorch on a card, otherwise its ONNX export."""
    if output == 0 and device().type == "cpu":
        from train.onnx_traced import network_to_onnx

        core = load_openvino().Core()
        model = core.read_model(network_to_onnx(network.cpu(), type(network).__name__))
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

        def play(plane: Plane) -> NDArray[np.float32]:
            (answer,) = compiled([to_tensor(plane).numpy()]).values()
            return np.asarray(answer[0, 0], np.float32) * PEAK

        return play
    network = network.eval().to(device())

    def compute(plane: Plane) -> NDArray[np.float32]:
        with torch.inference_mode():
            outputs = network(to_tensor(plane))
            answer: Tensor = outputs[output] if isinstance(outputs, tuple) else outputs
            return answer[0, 0].float().cpu().numpy() * PEAK

    return compute


def mean_of_views(restore: Callable[[Plane], NDArray[np.float32]], plane: Plane) -> NDArray[np.float32]:
    """The mean output of ``restore`` over the eight rotations and flips of ``plane``, each reversed afterwards."""
    total: NDArray[np.float32] | None = None
    for flipped in (False, True):
        for turns in range(4):
            view = np.rot90(np.fliplr(plane) if flipped else plane, turns)
            back = np.rot90(restore(np.ascontiguousarray(view)), -turns)
            back = np.fliplr(back) if flipped else back
            total = back if total is None else total + back
    assert total is not None
    return np.asarray(total / 8, np.float32)


def to_tensor(plane: Plane) -> Tensor:
    """Convert 8-bit codes (H, W) to (1, 1, H, W) in 0..1, on the device."""
    return torch.from_numpy(np.array(plane)).to(device())[None, None].float() / PEAK


def rounded(values: NDArray[np.float32]) -> Plane:
    """Round ``values`` to 8-bit codes, clipped to 0..255."""
    return np.asarray(np.clip(np.rint(values), 0, PEAK), np.uint8)
