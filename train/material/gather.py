"""Training and validation data for a recipe."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from train.material.coded import Example
from train.material.data import Data, Split
from train.material.patch_data import PatchData
from train.material.patches import Patches
from train.material.picture_data import PictureData
from train.parallel import processes_here
from train.recipe import Recipe
from vs_srcomp.memory import memory_limit

MEMORY_SHARE: Final = 1 / 4
"""Share of memory for examples, which training copies once. More examples than that are streamed. The processes that
train together divide it, since each has all examples."""


class Gatherer:
    """Calls `gather` for one recipe after the other, and keeps the last data for recipes that share it."""

    def __init__(self, places: Iterable[Path], work: Path, processes: int | None = None) -> None:
        """See `gather` for the arguments."""
        self._places, self._work, self._processes = list(places), work, processes
        self._last: tuple[object, Split] | None = None
        self._last_valid: tuple[object, list[Example]] | None = None

    def of(self, recipe: Recipe) -> Split:
        """See `gather`."""
        key = _data_key(recipe)
        if self._last is None or self._last[0] != key:
            self._last = None
            self._last = key, gather(recipe, self._places, self._work, self._processes)
        return self._last[1]

    def valid(self, recipe: Recipe) -> list[Example]:
        """The validation set of ``recipe``, without its training set; missing coded files are made."""
        key = _data_key(recipe)
        if self._last_valid is None or self._last_valid[0] != key:
            self._last_valid = None
            self._last_valid = key, _data_of(recipe, self._places, self._work, self._processes).valid()
        return self._last_valid[1]


def _data_key(recipe: Recipe) -> object:
    """What the data of ``recipe`` depend on."""
    material = (recipe.degradation, recipe.scales, recipe.copies, recipe.clips, recipe.valid_share, recipe.seed)
    return recipe.material, material, recipe.make_network().channels


def _data_of(recipe: Recipe, places: Iterable[Path], work: Path, processes: int | None) -> Data:
    material = recipe.make_material()
    if isinstance(material, Patches):
        return PatchData(recipe, material, places, processes)
    return PictureData(recipe, material, places, work, processes)


def gather(
    recipe: Recipe,
    places: Iterable[Path],
    work: Path,
    processes: int | None = None,
    memory: float | None = None,
) -> Split:
    """The training set and the validation set of ``recipe``.

    Args:
        recipe: Names material, degradation and split.
        places: Folders or files that the material reads.
        work: Folder of coded files, in ``coded``; missing ones are made.
        processes: Number of worker processes; by default one per processor.
        memory: Limit for examples in bytes; by default a share of this computer's memory. If they need more, the
            training set is a `Stream`, and the validation set is smaller.

    Raises:
        ValueError: There is no picture, or too few for the split; two have the same name; or the degradation has no
            such parameter.
    """
    if memory is None:
        memory = memory_limit() * MEMORY_SHARE / processes_here()
    return _data_of(recipe, places, work, processes).split(memory)
