"""LapSRN: a Laplacian pyramid that doubles the size at each level."""

import math
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.interpolate import enlarge_by_deconvolution, quiet
from train.networks.network import Network, check_scale

NEGATIVE_SLOPE = 0.2


class Level(nn.Module):
    """``depth`` 3x3 convolutions and a 4x4 transposed one that doubles the size, and a residual for the picture."""

    def __init__(self, depth: int, width: int, channels: int) -> None:
        """Make the level. Its picture starts as linear interpolation."""
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.upsample = nn.ConvTranspose2d(width, width, 4, 2, padding=1)
        self.residual = nn.Conv2d(width, channels, 3, padding=1)
        self.enlarge = nn.ConvTranspose2d(channels, channels, 4, 2, padding=1, bias=False)
        for layer in (*self.convolutions, self.upsample):
            assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, a=NEGATIVE_SLOPE)
            nn.init.zeros_(layer.bias)
        # Each output pixel gets four of the sixteen taps.
        self.upsample.weight.data *= 2
        quiet(self.residual)
        nn.init.zeros_(self.enlarge.weight)
        for channel in range(channels):
            enlarge_by_deconvolution(self.enlarge, channel, channel)

    def forward(self, features: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Features and picture, twice as large."""
        for layer in self.convolutions:
            features = F.leaky_relu(layer(features), NEGATIVE_SLOPE)
        features = F.leaky_relu(self.upsample(features), NEGATIVE_SLOPE)
        residual: Tensor = self.residual(features)
        return features, self.enlarge(picture).float() + residual.float()


class Lapsrn(Network):
    """Levels of ``depth`` convolutions of ``width`` channels, each of which doubles the picture.

    The defaults are the paper's: depth 10, width 64, LeakyReLU 0.2, 4x4 transposed convolutions, no shared weights.
    Returns the pictures of all levels, the largest first.
    """

    paper: ClassVar[str] = "Lai, Huang, Ahuja, Yang 2017, arXiv 1704.03915"

    def __init__(self, *, scale: int = 4, depth: int = 10, width: int = 64, channels: int = 1) -> None:
        """Make the network, which starts as linear interpolation; ``scale`` is 2, 4 or 8."""
        check_scale(scale, (2, 4, 8), "lapsrn")
        super().__init__(scale=scale, channels=channels)
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        nn.init.kaiming_normal_(self.head.weight, a=NEGATIVE_SLOPE)
        self.levels = nn.ModuleList(Level(depth, width, channels) for _ in range(int(math.log2(scale))))

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Upscale ``picture`` by ``scale``, and by each smaller power of two."""
        features = F.leaky_relu(self.head(picture), NEGATIVE_SLOPE)
        pictures: list[Tensor] = []
        for level in self.levels:
            features, picture = level(features, picture)
            pictures.insert(0, picture)
        return tuple(pictures)

    @property
    def receptive_field(self) -> int:
        """Side of the square, in input pixels, that an output pixel depends on, at most."""
        radius, grid = 1.0, 1.0
        for level in self.levels:
            assert isinstance(level, Level)
            radius += (len(level.convolutions) + 1.5) * grid
            grid /= 2
        return 2 * math.ceil(radius + grid) + 1
