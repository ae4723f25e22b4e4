"""The base class of the networks that recipes can name."""

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """A network for super-resolution.

    ``forward`` takes luma (N, 1, h, w), or RGB (N, 3, h, w), in 0..1, and returns the picture ``scale`` times as large,
    or a tuple of it and of intermediate results (stages, a clean small picture) for the objective. Its control flow
    does not depend on data.
    """

    paper: ClassVar[str] = ""
    """Authors, year and identifier of the paper."""
    takes_level: ClassVar[bool] = False
    """Whether ``forward`` takes the compression level, (N,) in 0..63, as its second argument."""

    def __init__(self, *, scale: int, channels: int, stride: int = 1) -> None:
        """Set the format of input and output.

        Args:
            scale: Output size over input size; 1 for a network that works on the upscaled picture.
            channels: 1 for luma, 3 for RGB.
            stride: Input sizes must be multiples of it.

        Raises:
            ValueError: ``stride`` or ``channels`` is below 1.
        """
        if channels < 1:
            raise ValueError(f"channels is a whole number of 1 or more, not {channels}")
        if stride < 1:
            raise ValueError(f"stride is a whole number of 1 or more, not {stride}")
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.stride = stride

    @property
    def parameter_count(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def receptive_field(self) -> int:
        """Side in input pixels of the square that an output pixel can depend on."""
        raise NotImplementedError

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates of all convolutions per output pixel."""
        return multiply_accumulates(self)


def check_scale(scale: int, possible: tuple[int, ...], network: str) -> None:
    """ValueError if ``network`` cannot be built for ``scale``."""
    if scale not in possible:
        raise ValueError(f"{network} is built for scales {', '.join(map(str, possible))}, not {scale}")


def multiply_accumulates(network: Network) -> float:
    """Multiply-accumulates of all convolutions per output pixel, counted in a pass on the meta device."""
    ghost = copy.deepcopy(network).to("meta")
    total = 0

    def count(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.ConvTranspose2d):
            total += inputs[0].numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Conv2d):
            total += output.numel() * layer.weight[0].numel()

    for layer in ghost.modules():
        layer.register_forward_hook(count)
    side = 12 * network.stride
    picture = torch.empty(1, network.channels, side, side, device="meta")
    level = (torch.empty(1, device="meta"),) if network.takes_level else ()
    ghost(picture, *level)
    return total / (side * network.scale) ** 2


def outputs_of(network: nn.Module, source: Tensor, q: Tensor) -> tuple[Tensor, ...]:
    """All outputs of ``network``, the final one first; ``q`` is for networks that take levels."""
    made = network(source, q) if inner(network).takes_level else network(source)
    return made if isinstance(made, tuple) else (made,)


def inner(network: nn.Module) -> Network:
    """The network without PyTorch's wrapper for several processes."""
    found = network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network
    assert isinstance(found, Network)
    return found
