"""Pixel losses: L1, squared error and Charbonnier."""

from typing import ClassVar

from torch import Tensor

from train.material.crops import Crops
from train.objectives.objective import Objective, matched, mean_over

# Scale of squared error that makes its gradients similar to those of L1.
SQUARED_SCALE = 25


class Pixel(Objective):
    """A mean over pixels of the final output, plus ``stages`` times that of all other outputs."""

    def __init__(self, *, weighted: bool = True, stages: float = 1.0) -> None:
        """Make it.

        Args:
            weighted: Whether to weight each crop by about one over its picture's error, which makes the loss the
                first-order equivalent of the mean gain in decibels.
            stages: Weight of the mean error of the outputs after the first.

        Raises:
            ValueError: ``stages`` is below 0.
        """
        super().__init__()
        if stages < 0:
            raise ValueError(f"stages is a number of 0 or more, not {stages!r}")
        self.weighted = weighted
        self.stages = stages

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network."""
        errors = [
            mean_over(self.error(output.float() - target), crops.weight if self.weighted else None)
            for output, target in matched(outputs if self.stages else outputs[:1], crops.targets)
        ]
        final, *others = errors
        for error in others:
            final = final + error * (self.stages / len(others))
        return final

    def error(self, difference: Tensor) -> Tensor:
        """The loss of each pixel."""
        raise NotImplementedError


class Absolute(Pixel):
    """L1: stable far from the optimum, and closer to perception than squared error."""

    def error(self, difference: Tensor) -> Tensor:
        """|x|."""
        return difference.abs()


class Squared(Pixel):
    """Squared error, the basis of PSNR, times 25, so that its gradients are similar to those of L1."""

    def error(self, difference: Tensor) -> Tensor:
        """25 x^2."""
        return difference.square() * SQUARED_SCALE


class Charbonnier(Pixel):
    """L1 that is smooth at 0: sqrt(x^2 + epsilon^2)."""

    paper: ClassVar[str] = "Charbonnier et al. 1994; for super-resolution Lai et al. 2017, arXiv 1704.03915"

    def __init__(self, *, epsilon: float = 1e-3, weighted: bool = True, stages: float = 1.0) -> None:
        """``epsilon``: about the difference below which it is smooth; by default a quarter of an 8-bit code.

        Raises:
            ValueError: It is not above 0, or ``stages`` is below 0.
        """
        super().__init__(weighted=weighted, stages=stages)
        if epsilon <= 0:
            raise ValueError(f"epsilon is a number above 0, not {epsilon!r}")
        self.epsilon = epsilon

    def error(self, difference: Tensor) -> Tensor:
        """sqrt(x^2 + epsilon^2)."""
        return (difference.square() + self.epsilon**2).sqrt()
