"""Small recipes and examples to learn from."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from train.material.coded import Example
from train.recipe import Recipe

TINY = Recipe(
    name="tiny",
    network={"name": "plain", "stride": 2, "channels": 8, "layers": 3},
    degradation={"name": "av1", "ratio": "2:1"},
    steps=60,
    batch=2,
    crop=32,
    warmup=5,
)


def changed(name: str, recipe: Recipe = TINY, **fields: Any) -> Recipe:
    """``recipe`` under another name, with other fields."""
    return dataclasses.replace(recipe, name=name, **fields)


def blurred(count: int = 3, size: int = 64) -> list[Example]:
    """Noise pictures and their blur, at rising levels: a loss that a network can partly undo."""
    rng = np.random.default_rng(0)
    examples = []
    for index in range(count):
        original = torch.from_numpy(rng.uniform(0, 255, (1, 1, size, size)).astype(np.float32))
        original = F.avg_pool2d(original, 3, 1, 1)
        degraded = F.avg_pool2d(original, 3, 1, 1)
        planes = (plane[0, 0].numpy().round().astype(np.uint8) for plane in (degraded, original))
        examples.append(Example(*planes, q=20.0 + 10 * (index % 4), picture=f"{index}"))
    return examples
