"""Pictures to make material of."""

from pathlib import Path

import numpy as np
from PIL import Image


def photograph(seed: int, width: int = 96, height: int = 64) -> Image.Image:
    """Waves and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = 60 * np.sin(x / (3 + seed))[..., None] + 40 * np.cos(y / 7)[..., None]
    return Image.fromarray((128 + waves + rng.normal(0, 6, (height, width, 3))).clip(0, 255).astype(np.uint8))


def write_photographs(folder: Path, count: int, width: int = 96, height: int = 64) -> Path:
    """Make ``folder``, with so many pictures in it: 0.png and so on."""
    folder.mkdir()
    for seed in range(count):
        photograph(seed, width, height).save(folder / f"{seed}.png")
    return folder
