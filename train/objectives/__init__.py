"""The objectives that recipes can name, one family a file."""

from train.objectives.objective import Objective
from train.registry import Registry

OBJECTIVES: Registry[Objective] = Registry(
    "objective",
    {
        "faithful": "train.objectives.faithful:Faithful",
        "l1": "train.objectives.pixel:Absolute",
        "squared": "train.objectives.pixel:Squared",
        "charbonnier": "train.objectives.pixel:Charbonnier",
        "perceptual": "train.objectives.perceptual:Perceptual",
        "adversarial": "train.objectives.adversarial:Adversarial",
        "flat": "train.objectives.flat:Flat",
        "tone": "train.objectives.tone:Tone",
        "ssim": "train.objectives.ssim:Ssim",
        "vmaf-neg": "train.objectives.vmaf:VmafNeg",
        "sum": "train.objectives.sum:Sum",
    },
)
