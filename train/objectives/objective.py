"""The base class of objectives, and the target of each network output."""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from train.material.crops import Crops


class Objective(nn.Module):
    """A loss, the smaller the better.

    ``forward(outputs, crops, done)`` returns a scalar:

    - ``outputs``: the network's outputs, float (N, C, H, W) in about 0..1, the final one first;
    - ``crops``: the network's input, its targets (the original first) and the weights of the crops;
    - ``done``: share of finished steps, 0 to 1, for schedules.
    """

    paper: ClassVar[str] = ""
    """Source, if it is not common knowledge."""

    @property
    def least_side(self) -> int:
        """The least side of a crop in pixels of the original."""
        return 1

    @property
    def discriminator(self) -> nn.Module | None:
        """The discriminator of an adversarial objective; None for others."""
        return None

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network."""
        raise NotImplementedError

    def discriminator_loss(self, outputs: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> Tensor:
        """The loss of :attr:`discriminator`, without gradients for the network."""
        raise TypeError("this objective has no discriminator")


def matched(outputs: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> list[tuple[Tensor, Tensor]]:
    """Each output with its target: the one of its size, or the original resized to it (bicubic, antialiased)."""
    return [(output, _of_size(output, targets)) for output in outputs]


def _of_size(output: Tensor, targets: tuple[Tensor, ...]) -> Tensor:
    for target in targets:
        if target.shape[2:] == output.shape[2:]:
            return target
    return F.interpolate(targets[0], output.shape[2:], mode="bicubic", antialias=True)


def of_one_size(outputs: tuple[Tensor, ...], crops: Crops, name: str) -> tuple[Tensor, Tensor]:
    """The final output and the original in float32; ValueError if the objective ``name`` cannot compare them."""
    output, original = outputs[0].float(), crops.targets[0].float()
    if output.shape != original.shape:
        raise ValueError(f"the objective {name} is for networks whose output has the original's size")
    return output, original


def mean_over(error: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of ``error`` (N, C, H, W), weighted by crop."""
    return error.mean() if weights is None else (error * weights.view(-1, 1, 1, 1)).mean()
