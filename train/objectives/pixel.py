"""Losses of pixels: L1, squared error and what lies between."""

from typing import ClassVar

from torch import Tensor

from train.objectives.objective import Objective, matched, mean_over

# Squared error is scaled so that its gradients are of the order of L1's.
SQUARED_SCALE = 25


class Pixel(Objective):
    """A mean over pixels: of the final answer, plus ``stages`` times that of all other outputs together."""

    def __init__(self, *, weighted: bool = True, stages: float = 1.0) -> None:
        """Make it.

        Args:
            weighted: Whether each crop counts by its weight, about one over its picture's own error: then the loss is
                the first-order equivalent of the mean gain in decibels.
            stages: Of the mean error of the outputs after the first, where a network has any.
        """
        super().__init__()
        self.weighted = weighted
        self.stages = stages

    def forward(self, outputs: tuple[Tensor, ...], targets: tuple[Tensor, ...], weights: Tensor, done: float) -> Tensor:
        """The loss of the network."""
        errors = [
            mean_over(self.error(output.float() - target), weights if self.weighted else None)
            for output, target in matched(outputs if self.stages else outputs[:1], targets)
        ]
        final, *others = errors
        for error in others:
            final = final + error * (self.stages / len(others))
        return final

    def error(self, difference: Tensor) -> Tensor:
        """The loss of each pixel."""
        raise NotImplementedError


class Absolute(Pixel):
    """L1: steady far from the optimum, and nearer to what people see than squared error."""

    def error(self, difference: Tensor) -> Tensor:
        """|x|."""
        return difference.abs()


class Squared(Pixel):
    """Squared error, which PSNR is made of, times 25, so that its gradients are of the order of L1's."""

    def error(self, difference: Tensor) -> Tensor:
        """25 x^2."""
        return difference.square() * SQUARED_SCALE


class Charbonnier(Pixel):
    """L1 with a round bottom: sqrt(x^2 + epsilon^2)."""

    paper: ClassVar[str] = "Charbonnier et al. 1994; for super-resolution Lai et al. 2017, arXiv 1704.03915"

    def __init__(self, *, epsilon: float = 1e-3, weighted: bool = True, stages: float = 1.0) -> None:
        """Make it; ``epsilon`` is about the difference below which it is round, a quarter of an 8-bit code."""
        super().__init__(weighted=weighted, stages=stages)
        self.epsilon = epsilon

    def error(self, difference: Tensor) -> Tensor:
        """sqrt(x^2 + epsilon^2)."""
        return (difference.square() + self.epsilon**2).sqrt()
