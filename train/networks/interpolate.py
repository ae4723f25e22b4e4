"""Initial weights with which a network starts as an interpolation.

The papers start with random weights, and training first has to learn the picture itself. Here channel 0 of the layers
passes the picture through from the first step on, so that only the difference from interpolation must be learned. Other
weights are random as usual; the architectures are those of the papers.
"""

import torch
from torch import Tensor, nn

# Deviation of a last layer's random weights: small, so that the network starts close to interpolation.
TAIL_NOISE = 1e-3


@torch.no_grad()
def carry(layer: nn.Conv2d, source: int = 0, target: int = 0) -> None:
    """Make channel ``target`` of a layer a copy of channel ``source`` of its input."""
    _put(layer, target, source, torch.ones(1, 1))


@torch.no_grad()
def quiet(layer: nn.Conv2d | nn.ConvTranspose2d, std: float = TAIL_NOISE) -> None:
    """Give a last layer small random weights."""
    nn.init.normal_(layer.weight, std=std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


@torch.no_grad()
def enlarge_by_shuffle(layer: nn.Conv2d, scale: int, pictures: int = 1) -> None:
    """Make a 3x3 layer before depth-to-space enlarge its first ``pictures`` channels by ``scale``, linearly.

    Depth-to-space puts channel ``k * scale**2 + i * scale + j`` at row ``i`` and column ``j`` of channel ``k``.
    """
    for picture in range(pictures):
        for row in range(scale):
            for column in range(scale):
                kernel = torch.outer(linear_taps(scale, row), linear_taps(scale, column))
                _put(layer, picture * scale**2 + row * scale + column, picture, kernel)


def linear_taps(scale: int, phase: int) -> Tensor:
    """Weights of a pixel and its two neighbours for one of ``scale`` positions inside the pixel."""
    offset = (phase + 0.5) / scale - 0.5
    return torch.tensor([max(0.0, -offset), 1 - abs(offset), max(0.0, offset)])


@torch.no_grad()
def enlarge_by_deconvolution(layer: nn.ConvTranspose2d, source: int = 0, target: int = 0) -> None:
    """Make a transposed convolution enlarge channel ``source`` of its input, linearly, into channel ``target``.

    Weights from other channels to ``target`` are not changed.
    """
    size, scale, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    assert isinstance(padding, int)
    # For each tap, the distance of the output pixel from the centre of the input pixel, in input pixels.
    distance = (torch.arange(size) - padding - (scale - 1) / 2) / scale
    taps = (1 - distance.abs()).clamp(min=0)
    for phase in range(scale):
        taps[phase::scale] /= taps[phase::scale].sum()
    layer.weight[source, target] = torch.outer(taps, taps)
    if layer.bias is not None:
        layer.bias[target] = 0


def _put(layer: nn.Conv2d, target: int, source: int, kernel: Tensor) -> None:
    layer.weight[target] = 0
    rows, columns = layer.weight.shape[2:]
    top, left = (rows - kernel.shape[0]) // 2, (columns - kernel.shape[1]) // 2
    layer.weight[target, source, top : top + kernel.shape[0], left : left + kernel.shape[1]] = kernel
    if layer.bias is not None:
        layer.bias[target] = 0
