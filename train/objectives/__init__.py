"""The objectives that recipes can name, one a file."""

from torch import nn

from train.registry import Registry

OBJECTIVES: Registry[nn.Module] = Registry(
    "objective",
    {
        "faithful": "train.objectives.faithful:Faithful",
    },
)
