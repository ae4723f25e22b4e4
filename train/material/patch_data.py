"""The patches of a recipe: those to learn from, in memory or streamed, and those to measure on."""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from train.material.coded import Example
from train.material.data import Split
from train.material.patches import Patches, Rows, load_patches
from train.material.stream import Stream
from train.recipe import Recipe

STREAMED: Final = 4096
"""Patches that a worker takes at a time if they are streamed: it reads all files for them, which are compressed."""


class PatchData:
    """The patch pairs of a recipe, split into what is learned from and what is measured on."""

    def __init__(self, recipe: Recipe, material: Patches, places: Iterable[Path], processes: int | None) -> None:
        """Find and split the patches; see `Patches.split` for errors, `train.material.gather.gather` for arguments."""
        assert recipe.ratio is not None
        self._learned, self._measured = material.split(
            places, recipe.ratio, recipe.crop, recipe.valid_share, recipe.seed
        )
        self._processes = processes

    def valid(self) -> list[Example]:
        """See `train.material.data.Data`."""
        return load_patches(self._measured)

    def split(self, memory: float) -> Split:
        """See `train.material.data.Data`. If patches are streamed, about ``STREAMED`` are for validation."""
        learned, measured = self._learned, self._measured
        if sum(rows.size for rows in (*learned, *measured)) <= memory:
            return load_patches(learned), load_patches(measured)
        valid, parts = load_patches(measured, parts_of(measured)), parts_of(learned)
        return Stream(range(parts), partial(load_patches, learned, parts), valid, self._processes), valid


def parts_of(rows: Sequence[Rows]) -> int:
    """The number of parts of ``STREAMED`` patches, about."""
    return math.ceil(sum(len(each.numbers) for each in rows) / STREAMED)
