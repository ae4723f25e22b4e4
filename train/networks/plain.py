"""A plain stack of convolutions on a coarser grid, which predicts the loss of downscaling and codec."""

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.network import Network

# Approximate mean and deviation of photographic luma. The first layer's weights are for values normalised by them.
MEAN, SPREAD = 0.45, 0.25
# The residual is small. This factor keeps the last layer's weights of the same order as the others.
RESIDUAL_SCALE = 0.1

KNOTS: Final = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
"""Levels with learned channel scales and shifts, which are interpolated in between and constant outside."""

_PEAK = 255


class PlainStack(Network):
    """``layers`` convolutions of ``channels`` channels on a grid ``stride`` times coarser, with a global skip.

    The first convolution has stride ``stride`` (it equals space-to-depth and a 3x3 convolution); the last is followed
    by depth-to-space (sub-pixel convolution, Shi et al. 2016, arXiv 1609.05158). Each hidden channel has a scale and a
    shift, piecewise linear in the compression level (as in FiLM, Perez et al. 2018, arXiv 1709.07871). At a given level
    they fold into the convolution before them. The activation is ReLU, leaky with a ``slope``.

    ``forward`` takes luma (N, 1, H, W) in 0..1, H and W divisible by ``stride``, and levels (N,) in 0..63; it returns
    (N, 1, H, W).
    """

    paper = "this project"
    takes_level = True

    def __init__(self, *, stride: int = 4, channels: int = 64, layers: int = 6, slope: float = 0.0) -> None:
        """Weights of the last layer start small but not zero; ``slope`` is the activation's negative slope."""
        super().__init__(scale=1, channels=1, stride=stride)
        check_form(channels, layers)
        self.slope = slope
        self.head = nn.Conv2d(1, channels, 3 * stride, stride, padding=stride, bias=False)
        hidden = [nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(layers - 2)]
        self.body = nn.ModuleList(hidden)
        self.tail = nn.Conv2d(channels, stride * stride, 3, padding=1)
        for layer in (self.head, *hidden):
            nn.init.kaiming_normal_(layer.weight, a=slope)
        nn.init.normal_(self.tail.weight, std=0.02)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]  # it has one
        self.gains = nn.Parameter(torch.zeros(len(KNOTS), layers - 1, channels))
        """For each knot, layer and channel: scale minus 1."""
        self.shifts = nn.Parameter(torch.zeros(len(KNOTS), layers - 1, channels))
        self.knots: Tensor
        self.register_buffer("knots", torch.tensor(KNOTS), persistent=False)

    def forward(self, luma: Tensor, q: Tensor) -> Tensor:
        """Restore ``luma`` that was compressed at the levels ``q``."""
        residual: Tensor | None = None
        for residual in self.outputs(luma, q):  # noqa: B007 - the last one counts
            pass
        assert residual is not None
        return luma + RESIDUAL_SCALE * F.pixel_shuffle(residual, self.stride).float()

    def outputs(self, luma: Tensor, q: Tensor) -> Iterator[Tensor]:
        """Outputs of all layers after their activation: (N, channels or stride squared, H / stride, W / stride)."""
        weights = self.of_level(q)
        # As codes: whole numbers are exact in any floating-point type, and rounding in the first layer costs accuracy.
        grid = F.pixel_unshuffle(luma * _PEAK, self.stride)
        with torch.autocast(luma.device.type, enabled=False):
            features = F.conv2d(grid, self._head_on_grid(), -self._head_mean(), padding=1)
        if torch.is_autocast_enabled(luma.device.type):
            features = features.to(torch.get_autocast_dtype(luma.device.type))
        for index, (scale, shift) in enumerate(weights):
            if index:
                features = F.conv2d(features, _weight(self.body[index - 1]), padding=1)
            features = torch.addcmul(shift.to(features.dtype), features, scale.to(features.dtype))
            features = F.leaky_relu(features, self.slope) if self.slope else F.relu(features)
            yield features
        yield self.tail(features)

    def of_level(self, q: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Scale and shift, (N, channels, 1, 1) each, of each hidden layer at the levels ``q``, (N,)."""
        with torch.autocast(q.device.type, enabled=False):
            basis = hats(q, self.knots)
            scales = 1 + torch.einsum("nk,klc->lnc", basis, self.gains)
            shifts = torch.einsum("nk,klc->lnc", basis, self.shifts)
        return [(scale[..., None, None], shift[..., None, None]) for scale, shift in zip(scales, shifts, strict=True)]

    def _head_on_grid(self) -> Tensor:
        """The first layer as a 3x3 convolution of codes after space-to-depth."""
        step = self.stride
        kernel = self.head.weight.view(-1, 3, step, 3, step).permute(0, 2, 4, 1, 3)
        return kernel.reshape(-1, step * step, 3, 3) / (SPREAD * _PEAK)

    def _head_mean(self) -> Tensor:
        return self.head.weight.sum(dim=(1, 2, 3)) * (MEAN / SPREAD)

    def kernels(self) -> list[tuple[Tensor, Tensor | None]]:
        """Weight and bias of each convolution in the exported graph, for plain luma as input and output.

        Normalisation and the residual's scale are folded in; borders are padded with zeros, as in training.
        """
        assert self.tail.bias is not None
        return [
            (self.head.weight / SPREAD, -self._head_mean()),
            *((_weight(layer), None) for layer in self.body),
            (self.tail.weight * RESIDUAL_SCALE, self.tail.bias * RESIDUAL_SCALE),
        ]

    def kernels_at(self, q: float) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each convolution at level ``q``, with the level's scales and shifts folded in."""
        *hidden, (tail, tail_bias) = self.kernels()
        assert tail_bias is not None
        found = []
        for (weight, bias), (scale, shift) in zip(hidden, self.of_level(torch.tensor([float(q)])), strict=True):
            scale, shift = scale.flatten(), shift.flatten()
            found.append((weight * scale[:, None, None, None], shift if bias is None else bias * scale + shift))
        return [*found, (tail, tail_bias)]

    @torch.no_grad()
    def set_kernels(self, weights: Sequence[Tensor], bias: Tensor) -> None:
        """Set the weight of each convolution, and the bias of the last one: the inverse of `kernels`."""
        head, *body, tail = weights
        assert self.tail.bias is not None
        for layer, weight in zip((self.head, *self.body), (head * SPREAD, *body), strict=True):
            _weight(layer).copy_(weight)
        self.tail.weight.copy_(tail / RESIDUAL_SCALE)
        self.tail.bias.copy_(bias / RESIDUAL_SCALE)

    @torch.no_grad()
    def shift_residual(self, luma: float) -> None:
        """Add ``luma`` to the output."""
        assert self.tail.bias is not None
        self.tail.bias += luma / RESIDUAL_SCALE

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates per output pixel."""
        return sum(p.numel() for p in self.parameters() if p.ndim == 4) / self.stride**2

    @property
    def receptive_field(self) -> int:
        """Side in pixels of the square that an output pixel can depend on, at any position in its cell."""
        layers = len(self.body) + 2
        return 2 * (self.stride * layers + self.stride - 1)


def check_form(channels: int, layers: int) -> None:
    """ValueError if no stack of convolutions can be made so."""
    if channels < 1:
        raise ValueError(f"channels is a whole number of 1 or more, not {channels}")
    if layers < 2:
        raise ValueError(f"layers is a whole number of 2 or more, not {layers}")


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer, nn.Conv2d)
    return layer.weight


def hats(q: Tensor, knots: Tensor) -> Tensor:
    """Weights of linear interpolation, (N, knots), for levels (N,), clamped to the range of the knots."""
    step = knots[1] - knots[0]
    clamped = q.clamp(knots[0], knots[-1])
    return F.relu(1 - (clamped[:, None] - knots).abs() / step)
