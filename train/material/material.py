"""The protocol of training materials: the picture files of a recipe, and their split."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np


class Material(Protocol):
    """A training material with its parameters."""

    def files(self, places: Iterable[Path], work: Path) -> list[Path]:
        """The picture files in ``places`` or made from them.

        Args:
            places: Folders or files, ``--images`` of the command line. Files of other kinds are skipped.
            work: Folder for files that are made.

        Raises:
            ValueError: A file cannot be read.
        """

    def measured(self, files: Sequence[Path], share: float, seed: int) -> set[str]:
        """Names of the validation set without suffix, about a ``share`` of ``files``."""


def shuffled_share(names: Collection[str], share: float, seed: int) -> set[str]:
    """A random ``share`` of ``names``, determined by ``seed``: one at least, and not all."""
    ordered = sorted(names)
    order = np.random.default_rng(seed).permutation(len(ordered))
    return {ordered[index] for index in order[: min(max(1, round(len(ordered) * share)), len(ordered) - 1)]}
