"""SSIM at several scales, differentiable."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from train.material.crops import Crops
from train.objectives.objective import Objective

# Wang et al. 2004: an 11x11 Gaussian window, and two constants for a peak of 1.
_SIDE, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


class Ssim(Objective):
    """1 - SSIM of each picture, the mean over the full size and its halves."""

    window: Tensor
    paper: ClassVar[str] = "Wang et al. 2004; at several scales Wang et al. 2003"

    def __init__(self, *, scales: int = 1) -> None:
        """``scales``: how many sizes are compared, each half the one before; all count the same."""
        super().__init__()
        self.scales = scales
        self.register_buffer("window", _gaussian(), persistent=False)

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network.

        Raises:
            ValueError: The smallest size is smaller than the window.
        """
        with torch.autocast(outputs[0].device.type, enabled=False):
            output, original = outputs[0].float(), crops.targets[0].float()
            if min(original.shape[2:]) >> (self.scales - 1) < _SIDE:
                raise ValueError(f"SSIM at {self.scales} scales needs crops of {_SIDE << (self.scales - 1)} and more")
            total = output.new_zeros(())
            for scale in range(self.scales):
                if scale:
                    output, original = F.avg_pool2d(output, 2), F.avg_pool2d(original, 2)
                total = total + 1 - self._ssim(output, original)
            return total / self.scales

    def _ssim(self, a: Tensor, b: Tensor) -> Tensor:
        """The mean over the area where the window fits, and over all planes."""
        mean_a, mean_b, of_aa, of_bb, of_ab = self._smooth(torch.stack((a, b, a * a, b * b, a * b)))
        var_a, var_b, covariance = of_aa - mean_a * mean_a, of_bb - mean_b * mean_b, of_ab - mean_a * mean_b
        luminance = (2 * mean_a * mean_b + _C1) / (mean_a * mean_a + mean_b * mean_b + _C1)
        similarity: Tensor = luminance * (2 * covariance + _C2) / (var_a + var_b + _C2)
        return similarity.mean()

    def _smooth(self, planes: Tensor) -> Tensor:
        """(..., H, W), convolved with the window; without borders."""
        flat = planes.flatten(0, -3).unsqueeze(1)
        smooth = F.conv2d(F.conv2d(flat, self.window[None, None, :, None]), self.window[None, None, None])
        return smooth.view(*planes.shape[:-2], *smooth.shape[-2:])


def _gaussian() -> Tensor:
    weights = torch.exp(-((torch.arange(_SIDE) - _SIDE // 2) ** 2) / (2 * _SIGMA**2))
    return weights / weights.sum()
