"""Training material of patch pairs, as `python -m train dataset` writes them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.inspection import Stacks, find_stacks
from train.material.coded import Example
from train.material.crops import PHASES
from train.material.pictures import check_names
from vs_srcomp.geometry import Ratio

KIND: Final = "patch"
"""Kind of the examples."""

# Hidden files are not whole yet.
_NAME: Final = re.compile(
    r"[^.].*_(?P<part>train|valid)_(?P<ratio>\d+by\d+)_(?P<q>[0-5]?\d|6[0-3])_(?P<side>\d+)x(?P=side)\.npz", re.DOTALL
)
# Bytes that Python needs for an example beside its samples, about.
_OF_EXAMPLE: Final = 1000


@dataclass(frozen=True)
class Rows:
    """Some patch pairs of a file."""

    stacks: Stacks
    q: float
    """Level of the file, 0 to 63."""
    numbers: NDArray[np.intp]
    """Which pairs, in rising order, from 0."""

    @property
    def size(self) -> int:
        """Size of their examples in bytes."""
        return len(self.numbers) * (2 * self.stacks.size**2 + _OF_EXAMPLE)


class Patches:
    """Patch pairs in .npz files, which are found in folders at any depth, or given one by one.

    Names are those of the original release: of the recipe's ratio, ``NAME_train_2by1_40_48x48.npz`` and so on are
    learned from; ``NAME_valid_...`` are for validation, or without them a share of the others; ``NAME_test_...`` are
    never used. Every patch is an example at the level of its file. Patches lie anywhere in their pictures, so that
    networks with a stride see every phase of Lanczos.
    """

    def split(
        self, places: Iterable[Path], ratio: Ratio, crop: int, share: float, seed: int
    ) -> tuple[list[Rows], list[Rows]]:
        """What is learned from and what is measured on. Only the headers of files are read.

        Args:
            places: Folders or files. Files of other names and ratios are skipped.
            ratio: The ratio of the recipe.
            crop: Side of a crop.
            share: Share of the patches for validation if there are no files for it.
            seed: Seed of the choice of these.

        Raises:
            ValueError: There is nothing to learn from or to measure on; two files have the same name; or one has no
                pairs of 8-bit square patches, or patches smaller than a crop.
        """
        places = list(places)
        found: dict[str, list[Rows]] = {"train": [], "valid": []}
        files = _files(places, ratio)
        check_names(path for path, _ in files)
        for path, name in files:
            stacks = find_stacks(path)
            if stacks.size < crop:
                raise ValueError(
                    f"{path} has patches of {stacks.size}x{stacks.size}, which are smaller than a crop of "
                    f"{crop}x{crop}: lower crop in the recipe to {stacks.size // PHASES * PHASES} or less"
                )
            found[name["part"]].append(Rows(stacks, float(name["q"]), np.arange(stacks.count)))
        learned, measured = found["train"], found["valid"]
        if learned and not measured:
            measured = [replace(rows, numbers=rows.numbers[_is_measured(rows, share, seed)]) for rows in learned]
            learned = [replace(rows, numbers=rows.numbers[~_is_measured(rows, share, seed)]) for rows in learned]
        where = ", ".join(map(str, places))
        if not learned:
            raise ValueError(
                f"{where}: there are no patches for {ratio.name} to learn from; give files of names such as "
                f"DIV2K_train_{ratio.slug}_40_48x48.npz with --images, which `python -m train dataset` writes"
            )
        if not sum(len(rows.numbers) for rows in measured):
            raise ValueError(f"{where}: one patch a file cannot be split for validation; give more with --images")
        return learned, measured


def _files(places: Iterable[Path], ratio: Ratio) -> list[tuple[Path, re.Match[str]]]:
    """The files for training and validation at ``ratio``, and the matches of their names."""
    found = {path for place in places for path in (place.rglob("*.npz") if place.is_dir() else [place])}
    named = ((path, _NAME.fullmatch(path.name)) for path in sorted(found) if path.is_file())
    return [(path, name) for path, name in named if name is not None and name["ratio"] == ratio.slug]


def _is_measured(rows: Rows, share: float, seed: int) -> NDArray[np.bool_]:
    """Whether each pair is for validation: a ``share`` of them side by side, from a random one on.

    Neighbours are of the same pictures, and the files of all levels have the same patches: what is measured on is not
    learned from beside it, or at another level.
    """
    count = len(rows.numbers)
    chosen = np.zeros(count, np.bool_)
    begin = int(np.random.default_rng(seed).random() * count)
    chosen[(begin + np.arange(min(max(1, round(count * share)), count - 1))) % count] = True
    return chosen


def load_patches(rows: Sequence[Rows], parts: int = 1, part: int = 0) -> list[Example]:
    """The examples of ``rows``, or one ``part`` of several, which has pairs from all over each file.

    Raises:
        ValueError: A file is damaged.
    """
    return [example for each in rows for example in _examples(replace(each, numbers=each.numbers[part::parts]))]


def _examples(rows: Rows) -> Iterator[Example]:
    if not len(rows.numbers):
        return
    start = 0
    for degraded, original in rows.stacks.blocks():
        first, last = np.searchsorted(rows.numbers, (start, start + len(degraded)))
        numbers = rows.numbers[first:last]
        # Copies, so that a few patches do not keep the whole block in memory.
        pairs = zip(numbers, degraded[numbers - start], original[numbers - start], strict=True)
        for number, low, high in pairs:
            yield Example(low, high, rows.q, f"{rows.stacks.path.stem}-{number}", kind=KIND)
        start += len(degraded)
