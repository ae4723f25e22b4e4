"""What a material is: the picture files that a recipe learns from, and those of them that it is measured on."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np


class Material(Protocol):
    """A kind of material with its parameters."""

    def files(self, places: Iterable[Path], work: Path) -> list[Path]:
        """The picture files that ``places``, folders or files, hold or give.

        Args:
            places: What the command line has as ``--images``; what is of another kind is left out.
            work: Files that have to be made go here.

        Raises:
            ValueError: A file cannot be read.
        """

    def measured(self, files: Sequence[Path], share: float, seed: int) -> set[str]:
        """Names, without suffix, of about a ``share`` of ``files``, which are measured on instead of learned from."""


def shuffled_share(names: Collection[str], share: float, seed: int) -> set[str]:
    """A ``share`` of ``names``, by a seeded shuffle."""
    ordered = sorted(names)
    order = np.random.default_rng(seed).permutation(len(ordered))
    return {ordered[index] for index in order[: round(len(ordered) * share)]}
