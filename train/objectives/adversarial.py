"""An adversarial loss with its discriminator."""

from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from train.material.crops import Crops
from train.objectives.objective import Objective

NEGATIVE_SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """A score for each patch of 54x54, one per 8x8 pixels: the higher, the more it looks like an original.

    Convolutions of width, 2, 4 and 8 times width, three of them with steps of 2, spectral normalisation (Miyato et al.
    2018, arXiv 1802.05957), after Isola et al. 2017 (arXiv 1611.07004).
    """

    def __init__(self, width: int = 48, channels: int = 1) -> None:
        super().__init__()
        sizes = [channels, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for index, (taken, given) in enumerate(pairwise(sizes)):
            step = 2 if index < 3 else 1
            kernel = 4 if step == 2 else 3
            layers += [spectral_norm(nn.Conv2d(taken, given, kernel, step, padding=1)), nn.LeakyReLU(NEGATIVE_SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(sizes[-1], 1, 3, padding=1))

    def forward(self, picture: Tensor) -> Tensor:
        """Scores (N, 1, H / 8, W / 8) of pictures in 0..1."""
        scores: Tensor = self.layers(picture * 2 - 1)
        return scores.float()


class Adversarial(Objective):
    """Relativistic average GAN: originals should score higher than restored pictures on average, and the reverse."""

    paper: ClassVar[str] = "Jolicoeur-Martineau 2018, arXiv 1807.00734; Wang et al. 2018, arXiv 1809.00219"

    def __init__(self, *, width: int = 48, channels: int = 1) -> None:
        """Make the objective and its discriminator.

        Args:
            width: Channels of its first layer.
            channels: Those of the pictures.

        Raises:
            ValueError: One of them is below 1.
        """
        super().__init__()
        for name, value in (("width", width), ("channels", channels)):
            if value < 1:
                raise ValueError(f"{name} of a discriminator is a whole number of 1 or more, not {value!r}")
        self.judge = PatchDiscriminator(width, channels)

    @property
    def discriminator(self) -> nn.Module:
        """The discriminator."""
        return self.judge

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network, with a fixed discriminator."""
        for parameter in self.judge.parameters():
            parameter.requires_grad_(False)
        restored, original = self.judge(outputs[0]), self.judge(crops.targets[0])
        for parameter in self.judge.parameters():
            parameter.requires_grad_(True)
        return _relativistic(real=restored, fake=original)

    def discriminator_loss(self, outputs: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> Tensor:
        """The loss of the discriminator."""
        return _relativistic(real=self.judge(targets[0]), fake=self.judge(outputs[0].detach()))


def _relativistic(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of "``real`` is more real than ``fake`` on average" and the reverse."""
    above = F.softplus(-(real - fake.mean())).mean()
    below = F.softplus(fake - real.mean()).mean()
    return (above + below) / 2
