"""The training materials that recipes can name, one a file: from folders, videos and patches to training pictures."""

from typing import TYPE_CHECKING

from train.material.material import Material
from train.registry import Registry

if TYPE_CHECKING:
    from train.material.patches import Patches

MATERIALS: Registry["Material | Patches"] = Registry(
    "material",
    {
        "photographs": "train.material.photographs:Photographs",
        "videos": "train.material.videos:Videos",
        "patches": "train.material.patches:Patches",
    },
)
