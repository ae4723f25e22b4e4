"""ESPCN: sub-pixel convolution, for video."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.interpolate import carry, enlarge_by_shuffle, quiet
from train.networks.network import Network


class Espcn(Network):
    """Four convolutions on the small picture, the last followed by depth-to-space.

    5x5 to 64 channels, 3x3 to 64, 3x3 to 32, 3x3 to scale**2: 58,212 parameters at scale 2. ReLU in between, or the
    paper's tanh.
    """

    paper: ClassVar[str] = "Shi et al. 2016, arXiv 1609.05158"

    def __init__(self, *, scale: int = 2, tanh: bool = False, channels: int = 1) -> None:
        super().__init__(scale=scale, channels=channels)
        self.tanh = tanh
        self.extract = nn.Conv2d(channels, 64, 5, padding=2)
        self.map = nn.Conv2d(64, 64, 3, padding=1)
        self.shrink = nn.Conv2d(64, 32, 3, padding=1)
        self.reconstruct = nn.Conv2d(32, channels * scale**2, 3, padding=1)
        hidden = (self.extract, self.map, self.shrink)
        for layer in hidden:
            nn.init.kaiming_normal_(layer.weight)
        quiet(self.reconstruct)
        for channel in range(channels):
            for layer in hidden:
                carry(layer, channel, channel)
        enlarge_by_shuffle(self.reconstruct, scale, channels)

    def forward(self, picture: Tensor) -> Tensor:
        """Upscale ``picture``."""
        features = picture
        for layer in (self.extract, self.map, self.shrink):
            features = torch.tanh(layer(features)) if self.tanh else F.relu(layer(features))
        return F.pixel_shuffle(self.reconstruct(features), self.scale)

    @property
    def receptive_field(self) -> int:
        """Side of the square, in input pixels, that an output pixel depends on: 11."""
        return 5 + 3 * 2
