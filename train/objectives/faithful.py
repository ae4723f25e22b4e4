"""Squared error, weighted so that it corresponds to the mean gain in decibels."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from train.material.crops import Crops
from train.objectives.objective import Objective
from train.objectives.pixel import SQUARED_SCALE
from train.objectives.points import read_points


class Faithful(Objective):
    """L1 at first, which is more stable far from the optimum, then squared error weighted by picture."""

    def __init__(self, *, l1_share: float = 0.3, by_level: Sequence[Sequence[float]] = ((0, 1),)) -> None:
        """Make it.

        Args:
            l1_share: Share of the run, from its start, with L1.
            by_level: Further weight of squared error at levels, [level, weight] in order, with linear interpolation:
                in a sum, how faithful the network is to be at each level.

        Raises:
            ValueError: ``l1_share`` is not from 0 to 1, the levels do not rise, or a weight is below 0.
        """
        super().__init__()
        if not 0 <= l1_share <= 1:
            raise ValueError(f"l1_share is a number from 0 to 1, not {l1_share!r}")
        self.l1_share = l1_share
        points = read_points(by_level)
        rises = points is not None and all(low < high for (low, _), (high, _) in pairwise(points))
        if points is None or not rises or min(weight for _, weight in points) < 0:
            raise ValueError(f"by_level is a list of [level, weight], with rising levels, not {by_level!r}")
        self.by_level = points

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the first of ``outputs`` against the original."""
        if done < self.l1_share:
            return F.l1_loss(outputs[0], crops.targets[0])
        # Scaled so that both losses have gradients of the same order.
        error = SQUARED_SCALE * (outputs[0] - crops.targets[0]).square().mean(dim=(1, 2, 3))
        return (error * crops.weight * self._of_levels(crops.q)).mean()

    def _of_levels(self, q: Tensor) -> Tensor:
        weights = torch.full_like(q, self.by_level[0][1])
        for (low, before), (high, after) in pairwise(self.by_level):
            weights = weights + (after - before) * ((q - low) / (high - low)).clamp(0, 1)
        return weights
