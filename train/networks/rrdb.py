"""RRDBNet, the generator of ESRGAN: residual in residual dense blocks."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.interpolate import carry, quiet
from train.networks.network import Network, check_scale

NEGATIVE_SLOPE = 0.2
RESIDUAL_SCALE = 0.2
# Factor of the initial weights, as in the paper.
FIRST_WEIGHTS = 0.1


class Dense(nn.Module):
    """Five 3x3 convolutions with dense connections; the result is scaled down and added to the input."""

    def __init__(self, width: int, growth: int) -> None:
        """Four convolutions have ``growth`` output channels each, the last one ``width``."""
        super().__init__()
        given = [growth] * 4 + [width]
        self.layers = nn.ModuleList(
            nn.Conv2d(width + index * growth, channels, 3, padding=1) for index, channels in enumerate(given)
        )
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data *= FIRST_WEIGHTS
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """``features`` plus the residual."""
        *hidden, last = self.layers
        seen = [features]
        for layer in hidden:
            seen.append(F.leaky_relu(layer(torch.cat(seen, 1)), NEGATIVE_SLOPE))
        change: Tensor = last(torch.cat(seen, 1))
        return features + change * RESIDUAL_SCALE


class ResidualInResidual(nn.Module):
    """Three dense blocks and a skip around them."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Dense(width, growth) for _ in range(3)))

    def forward(self, features: Tensor) -> Tensor:
        """``features`` plus the residual of the blocks."""
        change: Tensor = self.blocks(features)
        return features + change * RESIDUAL_SCALE


class Rrdb(Network):
    """RRDBNet: a convolution, ``blocks`` residual-in-residual dense blocks with a long skip, doublings by nearest
    neighbour and convolution, two last convolutions. No batch normalisation.

    The defaults are the paper's: 23 blocks of 64 channels with growth 32, 16.7 million parameters at scale 4 in RGB.
    """

    paper: ClassVar[str] = "Wang et al. 2018, arXiv 1809.00219"

    def __init__(
        self, *, scale: int = 4, blocks: int = 23, width: int = 64, growth: int = 32, channels: int = 1
    ) -> None:
        """Make the network, which starts as linear interpolation; ``scale`` is 2 or 4."""
        check_scale(scale, (2, 4), "rrdb")
        super().__init__(scale=scale, channels=channels)
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.ModuleList(ResidualInResidual(width, growth) for _ in range(blocks))
        self.join = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(int(math.log2(scale))))
        self.refine = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, channels, 3, padding=1)
        quiet(self.join)
        for layer in (*self.up, self.refine):
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight, a=NEGATIVE_SLOPE)
        quiet(self.tail)
        # Doubling by nearest neighbour and this filter equal linear interpolation.
        smooth = torch.outer(taps := torch.tensor([0.25, 0.5, 0.25]), taps)
        for channel in range(channels):
            for layer in (self.head, *self.up, self.refine, self.tail):
                assert isinstance(layer, nn.Conv2d)
                carry(layer, channel, channel)
            for layer in self.up:
                assert isinstance(layer, nn.Conv2d)
                layer.weight.data[channel, channel] = smooth

    def forward(self, picture: Tensor) -> Tensor:
        """Upscale ``picture``."""
        head = self.head(picture)
        features = head
        for block in self.body:
            features = block(features)
        features = head + self.join(features)
        for layer in self.up:
            doubled = F.interpolate(features, scale_factor=2.0, mode="nearest")
            features = F.leaky_relu(layer(doubled), NEGATIVE_SLOPE)
        enlarged: Tensor = self.tail(F.leaky_relu(self.refine(features), NEGATIVE_SLOPE))
        return enlarged

    @property
    def receptive_field(self) -> int:
        """Side of the square, in input pixels, that an output pixel depends on, at most."""
        # Five convolutions in each of a block's three dense blocks, the head and the join; then finer grids.
        return 2 * (15 * len(self.body) + 2) + 1 + 2 * (len(self.up) + 1)
