"""SSIM at several sizes, differentiable."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from train.material.crops import Crops
from train.metrics.fidelity import WINDOW
from train.objectives.objective import Objective, of_one_size

_SIDE = len(WINDOW)
# Wang et al. 2004, for a peak of 1.
_C1, _C2 = 0.01**2, 0.03**2


class Ssim(Objective):
    """1 - SSIM, the mean over ``scales`` sizes, each half the one before.

    MS-SSIM (Wang et al. 2003) is a product instead, in which the finest detail hardly counts. Crops are not weighted.
    """

    window: Tensor
    paper: ClassVar[str] = "Wang et al. 2004"

    def __init__(self, *, scales: int = 1) -> None:
        """Make it.

        Raises:
            ValueError: ``scales`` is not a whole number of 1 or more.
        """
        super().__init__()
        if not isinstance(scales, int) or scales < 1:
            raise ValueError(f"scales is a whole number of 1 or more, not {scales!r}")
        self.scales = scales
        self.register_buffer("window", torch.from_numpy(WINDOW).float(), persistent=False)

    @property
    def least_side(self) -> int:
        """That of which the smallest size is as large as the window."""
        return _SIDE << (self.scales - 1)

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network.

        Raises:
            ValueError: The output has another size than the original, or the smallest size is smaller than the window.
        """
        output, original = of_one_size(outputs, crops, "ssim")
        if min(original.shape[2:]) >> (self.scales - 1) < _SIDE:
            raise ValueError(f"SSIM at {self.scales} scales needs crops of {self.least_side} and more")
        # Variances are small differences of large numbers: they need all digits of float32.
        with (
            torch.autocast(output.device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            losses = [1 - self._ssim(output, original)]
            while len(losses) < self.scales:
                output, original = F.avg_pool2d(output, 2), F.avg_pool2d(original, 2)
                losses.append(1 - self._ssim(output, original))
            return torch.stack(losses).mean()

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
