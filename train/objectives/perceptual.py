"""Distance in the features of a classifier."""

from pathlib import Path
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from train.material.crops import Crops
from train.objectives.objective import Objective, mean_over
from train.objectives.vgg import DEFAULT_WEIGHTS, load_vgg


class Perceptual(Objective):
    """L1 of VGG16's features: of the last convolution of each stage in ``share``, before ReLU.

    Luma is a grey picture. Features before ReLU have more information (Wang et al. 2018, arXiv 1809.00219). The
    difference of each stage is divided by the mean magnitude of the original's features.
    """

    paper: ClassVar[str] = "Johnson, Alahi, Fei-Fei 2016, arXiv 1603.08155; Wang et al. 2018, arXiv 1809.00219"

    def __init__(
        self,
        *,
        weights: str = DEFAULT_WEIGHTS,
        share: tuple[float, ...] = (0.0, 0.1, 0.2, 1.0),
        weighted: bool = False,
    ) -> None:
        """Make it.

        Args:
            weights: File that ``python -m train vgg-weights`` writes.
            share: Weights of the stages, from the first; four stages are conv1_2, conv2_2, conv3_3 and conv4_3.
            weighted: Whether to use the weights of the crops.

        Raises:
            ValueError: The file does not exist.
        """
        super().__init__()
        self.share = tuple(share)
        self.weighted = weighted
        self.vgg = load_vgg(Path(weights), len(self.share))

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network."""
        of_answer = self.vgg(outputs[0], active=False)
        of_original = self.vgg(crops.targets[0], active=False)
        loss = outputs[0].new_zeros(())
        for share, made, wanted in zip(self.share, of_answer, of_original, strict=True):
            if share:
                error = F.l1_loss(made.float(), wanted.float(), reduction="none")
                size = wanted.float().abs().mean().clamp(min=1e-6)
                loss = loss + share * mean_over(error, crops.weight if self.weighted else None) / size
        return loss
