"""A penalty on patterns that a network draws where its input is flat."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from train.material.crops import Crops
from train.objectives.objective import Objective
from train.objectives.pixel import SQUARED_SCALE

# Side of the square over which a mean is taken, in pixels: four cells of a network of stride 4.
_SIDE: Final = 17


class Flat(Objective):
    """Squared detail of the residual, where the source has no detail.

    A convolutional network that gets the same values everywhere can only give a regular pattern, and perceptual and
    adversarial objectives reward one, as if it were texture. Detail is the difference from the mean over 17x17 pixels.
    A place counts by exp(-(d / limit)^2), where d is the source's RMS detail around it.
    """

    def __init__(self, *, limit: float = 2.0) -> None:
        """``limit``: in 8-bit codes; where the source has more detail, the residual is free."""
        super().__init__()
        self.limit = limit / 255

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network.

        Raises:
            ValueError: The output has another size than the source.
        """
        source = crops.source.float()
        if source.shape != outputs[0].shape:
            raise ValueError("the objective flat is for networks that restore a picture of the original's size")
        around = _mean_around(_detail(source).square())
        pattern = _detail(outputs[0].float() - source).square()
        return SQUARED_SCALE * (pattern * torch.exp(-around / self.limit**2)).mean()


def _detail(plane: Tensor) -> Tensor:
    return plane - _mean_around(plane)


def _mean_around(plane: Tensor) -> Tensor:
    """The mean over the part of each square that lies within the plane."""
    return F.avg_pool2d(plane, _SIDE, stride=1, padding=_SIDE // 2, count_include_pad=False)
