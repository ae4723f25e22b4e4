"""Squared error, weighted so that it corresponds to the mean gain in decibels."""

from torch import Tensor
from torch.nn import functional as F

from train.material.crops import Crops
from train.objectives.objective import Objective


class Faithful(Objective):
    """L1 at first, which is more stable far from the optimum, then squared error weighted by picture."""

    def __init__(self, *, l1_share: float = 0.3) -> None:
        """``l1_share``: share of the run, from its start, with L1."""
        super().__init__()
        self.l1_share = l1_share

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the first of ``outputs`` against the original."""
        if done < self.l1_share:
            return F.l1_loss(outputs[0], crops.targets[0])
        # Scaled so that both losses have gradients of the same order.
        return 25 * ((outputs[0] - crops.targets[0]).square().mean(dim=(1, 2, 3)) * crops.weight).mean()
