"""From a recipe and folders of pictures to the examples that it learns from and is measured on."""

from collections.abc import Iterable
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from train.degradations import DEGRADATIONS
from train.degradations.av1 import worker_pool
from train.degradations.degradation import covered
from train.material.coded import Example, code, codings, load
from train.material.crops import measured_names, split
from train.material.pictures import clip_planes, list_pictures, read_rgb8, read_yuv420, scaled_rgb
from train.recipe import Recipe

RGB = 3
"""Channels of networks that restore colour."""


class Gatherer:
    """Gathers for one recipe after the other, and keeps the last material for those that learn from the same."""

    def __init__(self, folders: Iterable[Path], work: Path, processes: int | None = None) -> None:
        """Take pictures from ``folders``; see `gather`."""
        self._folders, self._work, self._processes = list(folders), work, processes
        self._last: tuple[object, tuple[list[Example], list[Example]]] | None = None

    def of(self, recipe: Recipe) -> tuple[list[Example], list[Example]]:
        """See `gather`."""
        material = (recipe.degradation, recipe.scales, recipe.copies, recipe.clips, recipe.valid_share, recipe.seed)
        key = (material, recipe.make_network().channels)
        if self._last is None or self._last[0] != key:
            self._last = None
            self._last = key, gather(recipe, self._folders, self._work, self._processes)
        return self._last[1]

    def valid(self, recipe: Recipe) -> list[Example]:
        """What ``recipe``, which learns from AV1, is measured on, without what it learns from."""
        pictures = [path for folder in self._folders for path in list_pictures(folder)]
        measured = measured_names({path.stem for path in pictures}, recipe.valid_share, recipe.seed)
        chosen = [path for path in pictures if path.stem in measured]
        jobs = list(codings(chosen, str(recipe.degradation["ratio"]), clips=recipe.clips))
        code(jobs, self._work / "coded", self._processes)
        return load(jobs, self._work / "coded", self._processes)


def gather(
    recipe: Recipe, folders: Iterable[Path], work: Path, processes: int | None = None
) -> tuple[list[Example], list[Example]]:
    """The examples that ``recipe`` learns from, and those that it is measured on.

    Args:
        recipe: Names the degradation and the split.
        folders: Of photographs and drawn pictures.
        work: Coded files are kept here, in ``coded``; those that are missing are made.
        processes: To read and degrade pictures with; by default one for each processor.

    Raises:
        ValueError: There is no picture, or too few for the split; or the degradation has no such parameter.
    """
    pictures = [path for folder in folders for path in list_pictures(folder)]
    if recipe.degradation["name"] == "av1":
        jobs = list(codings(pictures, str(recipe.degradation["ratio"]), clips=recipe.clips))
        code(jobs, work / "coded", processes)
        examples = load(jobs, work / "coded", processes)
    else:
        with worker_pool(processes) as pool:
            examples = _degraded(recipe, pictures, pool)
    parts = split(examples, recipe.valid_share, recipe.seed)
    if not all(parts):
        raise ValueError(f"{len(pictures)} pictures are too few to learn from one part and measure on another")
    return parts


def _degraded(recipe: Recipe, pictures: list[Path], pool: Executor) -> list[Example]:
    DEGRADATIONS.make(**recipe.degradation)  # Mistakes are reported before the workers start.
    futures = [pool.submit(_examples, recipe, path, number) for number, path in enumerate(pictures)]
    return [example for future in futures for example in future.result()]


def _examples(recipe: Recipe, path: Path, number: int) -> list[Example]:
    degradation = DEGRADATIONS.make(**recipe.degradation)
    is_rgb = recipe.make_network().channels == RGB
    examples = []
    for scale in recipe.scales:
        picture = scaled_rgb(read_rgb8(path), scale) if is_rgb else clip_planes(read_yuv420(path, scale))[0]
        for copy in range(recipe.copies):
            made = degradation(picture, np.random.default_rng((recipe.seed, number, copy, round(100 * scale))))
            original = np.ascontiguousarray(covered(picture, made))
            examples.append(Example(made.input, original, made.q or 0.0, path.stem, made.clean))
    return examples
