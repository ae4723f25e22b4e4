"""The training materials that recipes can name, one a file: from folders and videos to training pictures."""

from train.material.material import Material
from train.registry import Registry

MATERIALS: Registry[Material] = Registry(
    "material",
    {
        "photographs": "train.material.photographs:Photographs",
        "videos": "train.material.videos:Videos",
    },
)
