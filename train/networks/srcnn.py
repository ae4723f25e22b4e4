"""SRCNN, the first network for super-resolution."""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.interpolate import carry, quiet
from train.networks.network import Network


class Srcnn(Network):
    """Three convolutions on the upscaled picture: patch extraction, non-linear mapping, reconstruction.

    9x9 to 64 channels, ``middle`` x ``middle`` to 32, 5x5 to the picture, ReLU in between: 9-1-5, 9-3-5 and 9-5-5 in
    the paper, with 8,032, 24,416 and 57,184 weights. Unlike in the paper, borders are padded to keep the size of the
    input.
    """

    paper: ClassVar[str] = "Dong, Loy, He, Tang 2015, arXiv 1501.00092"

    def __init__(self, *, middle: int = 5, channels: int = 1) -> None:
        """Make the network, which starts as the identity; ``middle`` is 1, 3 or 5."""
        super().__init__(scale=1, channels=channels)
        if middle not in (1, 3, 5):
            raise ValueError(f"the middle kernel is 1, 3 or 5, not {middle}")
        self.extract = nn.Conv2d(channels, 64, 9, padding=4)
        self.map = nn.Conv2d(64, 32, middle, padding=middle // 2)
        self.reconstruct = nn.Conv2d(32, channels, 5, padding=2)
        for layer in (self.extract, self.map):
            nn.init.kaiming_normal_(layer.weight)
        quiet(self.reconstruct)
        for channel in range(channels):
            for layer in (self.extract, self.map, self.reconstruct):
                carry(layer, channel, channel)

    def forward(self, picture: Tensor) -> Tensor:
        """Restore the upscaled ``picture``."""
        restored: Tensor = self.reconstruct(F.relu(self.map(F.relu(self.extract(picture)))))
        return restored

    @property
    def receptive_field(self) -> int:
        """Side of the square that an output pixel depends on: 17 for 9-5-5."""
        return 9 + self.map.kernel_size[0] - 1 + 4
