"""A penalty on patterns that a network draws where its input is flat."""

import torch
from torch import Tensor

from train.material.crops import Crops
from train.objectives.local import mean_around
from train.objectives.objective import Objective
from train.objectives.pixel import SQUARED_SCALE


class Flat(Objective):
    """Squared detail of the residual, where the source has no detail.

    A convolutional network that gets the same values everywhere can only give a regular pattern, and perceptual and
    adversarial objectives reward one, as if it were texture. Detail is the difference from the mean over 17x17 pixels.
    A place counts by exp(-(d / limit)^2), where d is the source's RMS detail around it.
    """

    def __init__(self, *, limit: float = 2.0) -> None:
        """``limit``: in 8-bit codes; where the source has more detail, the residual is free.

        Raises:
            ValueError: It is not above 0.
        """
        super().__init__()
        if limit <= 0:
            raise ValueError(f"limit is a number above 0, not {limit!r}")
        self.limit = limit / 255

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network.

        Raises:
            ValueError: The output has another size than the source.
        """
        source = crops.source.float()
        if source.shape != outputs[0].shape:
            raise ValueError("the objective flat is for networks that restore a picture of the original's size")
        around = mean_around(_detail(source).square())
        pattern = _detail(outputs[0].float() - source).square()
        return SQUARED_SCALE * (pattern * torch.exp(-around / self.limit**2)).mean()


def _detail(plane: Tensor) -> Tensor:
    return plane - mean_around(plane)
