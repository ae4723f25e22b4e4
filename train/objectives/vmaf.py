"""VMAF-NEG, differentiable."""

from typing import ClassVar

import torch
from torch import Tensor

from train.material.crops import Crops
from train.objectives.objective import Objective

PEAK = 255
# The features go down to a sixteenth of the resolution, where their filters must fit.
SMALLEST = 192


class VmafNeg(Objective):
    """(100 - VMAF-NEG) / 100 of each picture by itself, without motion, by the package ``vmaf-torch``.

    VMAF was made for whole pictures of 8-bit limited-range luma; here it gets luma crops of at least 192x192.
    """

    paper: ClassVar[str] = "Li et al. 2016, Netflix; Aistov and Koroteev 2023, arXiv 2310.15578"

    def __init__(self) -> None:
        """Make it.

        Raises:
            ValueError: The package is not installed.
        """
        super().__init__()
        try:
            from vmaf_torch import VMAF
        except ImportError as reason:
            raise ValueError(f"VMAF-NEG needs vmaf-torch: pip install vmaf-torch ({reason})") from reason
        self.vmaf = VMAF(enable_motion=False, NEG=True)

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network."""
        original = crops.targets[0]
        if min(original.shape[2:]) < SMALLEST or original.shape[1] != 1:
            shape = "x".join(map(str, original.shape[1:]))
            raise ValueError(f"VMAF-NEG takes luma crops of {SMALLEST} pixels and more, not {shape}: raise crop")
        with torch.autocast(original.device.type, enabled=False):
            # The reference comes first.
            scores: Tensor = self.vmaf(original.float() * PEAK, outputs[0].float() * PEAK)
        return (100 - scores.mean()) / 100
