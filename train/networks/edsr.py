"""EDSR: residual blocks without batch normalisation."""

import math
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.interpolate import carry, enlarge_by_shuffle, quiet
from train.networks.network import Network, check_scale

# Approximate mean of photographic luma; the paper subtracts DIV2K's mean colour.
MEAN = 0.45


class Residual(nn.Module):
    """Two 3x3 convolutions with ReLU in between, added to the input."""

    def __init__(self, width: int, scaling: float = 1.0) -> None:
        """``scaling``: factor of the residual."""
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.scaling = scaling
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        # A tenth, so that a chain of many blocks starts near the identity.
        self.second.weight.data *= 0.1

    def forward(self, features: Tensor) -> Tensor:
        """``features`` plus the residual."""
        change: Tensor = self.second(F.relu(self.first(features)))
        return features + change * self.scaling if self.scaling != 1 else features + change


class Edsr(Network):
    """A convolution, ``blocks`` residual blocks of ``width`` channels with a long skip, sub-pixel upsampling, a tail.

    The defaults are the paper's baseline, 16 blocks of 64: 1,369,859 parameters at scale 2 in RGB. Scale 4 has two
    upsampling steps of 2.
    """

    paper: ClassVar[str] = "Lim, Son, Kim, Nah, Lee 2017, arXiv 1707.02921"

    def __init__(
        self, *, scale: int = 2, blocks: int = 16, width: int = 64, scaling: float = 1.0, channels: int = 1
    ) -> None:
        """Make the network, which starts as linear interpolation.

        Args:
            scale: 2, 3 or 4.
            blocks: Residual blocks.
            width: Channels of the blocks.
            scaling: Factor of each block's residual; 0.1 for the paper's large form, 32 blocks of 256.
            channels: 1 for luma, 3 for RGB.
        """
        check_scale(scale, (2, 3, 4), "edsr")
        super().__init__(scale=scale, channels=channels)
        steps = [2] * int(math.log2(scale)) if scale != 3 else [3]
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.ModuleList(Residual(width, scaling) for _ in range(blocks))
        self.join = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.ModuleList(nn.Conv2d(width, width * step**2, 3, padding=1) for step in steps)
        self.steps = steps
        self.tail = nn.Conv2d(width, channels, 3, padding=1)
        quiet(self.join)
        quiet(self.tail)
        for channel in range(channels):
            carry(self.head, channel, channel)
            carry(self.tail, channel, channel)
        for layer, step in zip(self.up, steps, strict=True):
            assert isinstance(layer, nn.Conv2d)
            enlarge_by_shuffle(layer, step, channels)

    def forward(self, picture: Tensor) -> Tensor:
        """Upscale ``picture``."""
        head = self.head(picture - MEAN)
        features = head
        for block in self.body:
            features = block(features)
        features = head + self.join(features)
        for layer, step in zip(self.up, self.steps, strict=True):
            features = F.pixel_shuffle(layer(features), step)
        enlarged: Tensor = self.tail(features)
        return enlarged.float() + MEAN

    @property
    def receptive_field(self) -> int:
        """Side of the square, in input pixels, that an output pixel depends on, at most."""
        # The head, two per block, the join and the first upsampling; later layers are on finer grids.
        return 2 * (3 + 2 * len(self.body)) + 1 + 2 * len(self.steps)
