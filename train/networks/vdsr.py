"""VDSR: a deep stack that predicts the residual, one network for all scales."""

from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from train.networks.interpolate import quiet
from train.networks.network import Network


class Vdsr(Network):
    """``layers`` 3x3 convolutions of ``width`` channels on the upscaled picture, ReLU between, and a global skip.

    The defaults are the paper's 20 layers of 64. One network is trained on all scales, which it recognises by
    sharpness.
    """

    paper: ClassVar[str] = "Kim, Lee, Lee 2016, arXiv 1511.04587"

    def __init__(self, *, layers: int = 20, width: int = 64, channels: int = 1) -> None:
        super().__init__(scale=1, channels=channels)
        sizes = [channels] + [width] * (layers - 1) + [channels]
        self.layers = nn.ModuleList(nn.Conv2d(taken, given, 3, padding=1) for taken, given in pairwise(sizes))
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        assert isinstance(layer, nn.Conv2d)
        quiet(layer)

    def forward(self, picture: Tensor) -> Tensor:
        """Restore the upscaled ``picture``."""
        *hidden, last = self.layers
        features = picture
        for layer in hidden:
            features = F.relu(layer(features))
        residual: Tensor = last(features)
        return picture + residual.float()

    @property
    def receptive_field(self) -> int:
        """Side of the square that an output pixel depends on: 41 with 20 layers."""
        return 2 * len(self.layers) + 1
