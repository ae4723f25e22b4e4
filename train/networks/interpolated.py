"""Plain stacks of convolutions for a few levels, with interpolated kernels in between."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.network import Network
from train.networks.plain import MEAN, RESIDUAL_SCALE, SPREAD, PlainStack, check_form, hats
from train.registry import is_number
from vs_srcomp.geometry import MAX_QUANTIZER

LEVELS: Final = (20.0, 30.0, 40.0, 50.0)


class InterpolatedStack(Network):
    """A stack like `PlainStack` for each of ``levels``; kernels and biases are interpolated linearly between levels.

    Networks that were trained from the same weights can be interpolated (Wang et al. 2019, Deep Network Interpolation,
    arXiv 1811.10515); here they are also trained together. Beyond the first and the last level they are constant. At a
    given level the network is one stack of convolutions, at the cost of a single one.

    ``forward`` takes luma (N, 1, H, W) in 0..1, H and W divisible by ``stride``, and levels (N,) in 0..63; it returns
    (N, 1, H, W).
    """

    paper = "this project"
    takes_level = True

    def __init__(
        self,
        *,
        stride: int = 4,
        channels: int = 64,
        layers: int = 6,
        slope: float = 0.0,
        levels: Sequence[float] = LEVELS,
    ) -> None:
        """Make the network. All stacks start with the same weights; those of the last layer are small but not zero.

        ``slope`` is the activation's negative slope; ``levels`` rise in equal steps.
        """
        super().__init__(scale=1, channels=1, stride=stride)
        check_form(channels, layers)
        if not all(is_number(level) and 0 <= level <= MAX_QUANTIZER for level in levels):
            raise ValueError(f"levels are numbers from 0 to {MAX_QUANTIZER}, not {list(levels)}")
        steps = {after - before for before, after in pairwise(levels)}
        if len(steps) != 1 or min(steps) <= 0:
            raise ValueError(f"levels {list(levels)} do not rise in equal steps")
        self.slope = slope
        self.levels = tuple(float(level) for level in levels)
        first = _stack(stride, channels, layers, slope)
        self.stacks = nn.ModuleList(_stack(stride, channels, layers, slope) for _ in levels)
        for stack in self.stacks:
            stack.load_state_dict(first.state_dict())
        self.knots: Tensor
        self.register_buffer("knots", torch.tensor(self.levels), persistent=False)

    def forward(self, luma: Tensor, q: Tensor) -> Tensor:
        """Restore ``luma`` that was compressed at the levels ``q``."""
        residual: Tensor | None = None
        for residual in self.outputs(luma, q):  # noqa: B007 - the last one counts
            pass
        assert residual is not None
        return luma + F.pixel_shuffle(residual, self.stride).float()

    def outputs(self, luma: Tensor, q: Tensor) -> Iterator[Tensor]:
        """Outputs of all layers after their activation: (N, channels or stride squared, H / stride, W / stride)."""
        with torch.autocast(q.device.type, enabled=False):
            basis = hats(q, self.knots)
        kernels = self.kernels()
        features = luma
        for index, (weights, biases) in enumerate(kernels):
            step = self.stride if index == 0 else 1
            if index == 0:
                with torch.autocast(luma.device.type, enabled=False):
                    features = _convolved(features, basis, weights, biases, step)
            else:
                features = _convolved(features, basis, weights, biases, step)
            if index < len(kernels) - 1:
                features = F.leaky_relu(features, self.slope) if self.slope else F.relu(features)
            yield features

    def kernels(self) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases of each convolution, (levels, O, I, h, w) and (levels, O), for plain luma.

        Normalisation and the residual's scale are folded in; borders are padded with zeros, as in training.
        """
        found = [(torch.stack(weights), torch.stack(biases)) for weights, biases in self._layers()]
        weights, biases = found[0]
        found[0] = weights / SPREAD, biases - weights.sum(dim=(2, 3, 4)) * (MEAN / SPREAD)
        weights, biases = found[-1]
        found[-1] = weights * RESIDUAL_SCALE, biases * RESIDUAL_SCALE
        return found

    def kernels_at(self, q: float) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each convolution at level ``q``."""
        (basis,) = hats(torch.tensor([float(q)], device=self.knots.device), self.knots)
        return [(_between(basis, weights), _between(basis, biases)) for weights, biases in self.kernels()]

    @torch.no_grad()
    def set_kernels(self, of_levels: Sequence[Sequence[tuple[Tensor, Tensor]]]) -> None:
        """Set weight and bias of each convolution for each level: the inverse of `kernels`."""
        for stack, kernels in zip(self.stacks, of_levels, strict=True):
            layers = list(_convolutions(stack))
            for index, (layer, (weight, bias)) in enumerate(zip(layers, kernels, strict=True)):
                assert layer.bias is not None
                if index == 0:
                    weight = weight * SPREAD
                    bias = bias + weight.sum(dim=(1, 2, 3)) * (MEAN / SPREAD)
                elif index == len(layers) - 1:
                    weight, bias = weight / RESIDUAL_SCALE, bias / RESIDUAL_SCALE
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)

    def take_plain(self, load: Callable[[PlainStack], object]) -> None:
        """Set the kernels of each level to those that a `PlainStack` of the same form has there.

        ``load`` is called with a new one, and sets its weights.
        """
        plain = PlainStack(**self._form)
        load(plain)
        self.set_kernels([plain.kernels_at(level) for level in self.levels])

    def take_levels(self, levels: Sequence[float], load: Callable[["InterpolatedStack"], object]) -> None:
        """Set the kernels of each level to those that a stack of the same form, but with other ``levels``, has there.

        ``load`` is called with a new one, and sets its weights.
        """
        other = InterpolatedStack(**self._form, levels=levels)
        load(other)
        self.set_kernels([other.kernels_at(level) for level in self.levels])

    @property
    def _form(self) -> dict[str, Any]:
        """The arguments that a `PlainStack` has, too."""
        head, *hidden, _ = _convolutions(self.stacks[0])
        return {
            "stride": self.stride,
            "channels": head.out_channels,
            "layers": len(hidden) + 2,
            "slope": self.slope,
        }

    @torch.no_grad()
    def shift_residual(self, luma: float) -> None:
        """Add ``luma`` to the output."""
        for stack in self.stacks:
            *_, tail = _convolutions(stack)
            assert tail.bias is not None
            tail.bias += luma / RESIDUAL_SCALE

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates per output pixel at one level."""
        return sum(layer.weight.numel() for layer in _convolutions(self.stacks[0])) / self.stride**2

    @property
    def receptive_field(self) -> int:
        """Side in pixels of the square that an output pixel can depend on, at any position in its cell."""
        layers = len(list(_convolutions(self.stacks[0])))
        return 2 * (self.stride * layers + self.stride - 1)

    def _layers(self) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
        """Weights and biases of all levels, by layer."""
        for of_levels in zip(*(_convolutions(stack) for stack in self.stacks), strict=True):
            yield [layer.weight for layer in of_levels], [layer.bias for layer in of_levels if layer.bias is not None]


def _stack(stride: int, channels: int, layers: int, slope: float) -> nn.Sequential:
    """Convolutions: one with ``stride``, ``layers - 2`` hidden ones, one for depth-to-space."""
    head = nn.Conv2d(1, channels, 3 * stride, stride, padding=stride)
    body = [nn.Conv2d(channels, channels, 3, padding=1) for _ in range(layers - 2)]
    tail = nn.Conv2d(channels, stride * stride, 3, padding=1)
    for layer in (head, *body, tail):
        assert layer.bias is not None
        nn.init.kaiming_normal_(layer.weight, a=slope)
        nn.init.zeros_(layer.bias)
    nn.init.normal_(tail.weight, std=0.02)
    return nn.Sequential(head, *body, tail)


def _convolutions(stack: nn.Module) -> Iterator[nn.Conv2d]:
    for layer in stack.children():
        assert isinstance(layer, nn.Conv2d)
        yield layer


def _between(basis: Tensor, of_levels: Tensor) -> Tensor:
    """``of_levels``, (levels, ...), interpolated: (...) for a basis (levels,), (N, ...) for one (N, levels)."""
    found: Tensor = torch.tensordot(basis, of_levels, dims=1)
    return found


def _convolved(features: Tensor, basis: Tensor, weights: Tensor, biases: Tensor, step: int) -> Tensor:
    """Convolve each of ``features`` (N, C, h, w) with its own kernels, as one grouped convolution."""
    with torch.autocast(features.device.type, enabled=False):
        own, own_biases = _between(basis, weights), _between(basis, biases)
    count, channels, height, width = features.shape
    pad = own.shape[-1] // 3
    together = features.reshape(1, count * channels, height, width)
    made = F.conv2d(together, own.flatten(0, 1), own_biases.flatten(), step, pad, groups=count)
    return made.view(count, -1, *made.shape[2:])
