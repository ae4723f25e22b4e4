"""Data of a recipe that learns from pictures: each is degraded, or coded and decoded, when it is loaded."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from train.degradations import DEGRADATIONS
from train.degradations.degradation import covered
from train.material.coded import CLIP_BANDS, CLIP_SIZE, KEPT_FRAMES, LEVEL_BANDS, Example, code, codings, load_picture
from train.material.data import Split
from train.material.material import Material
from train.material.pictures import check_names, clip_planes, read_rgb8, read_yuv420, scaled_rgb, size_of
from train.material.stream import Stream
from train.recipe import Recipe
from train.workers import worker_pool

RGB: Final = 3
"""Channels of networks for RGB."""

MEASURED: Final = 120
"""Most pictures for validation if examples are streamed."""

# Number of pictures that are opened to estimate the size of all.
_LOOKED_AT: Final = 100

type Item = tuple[int, Path]
"""A picture and its number, which seeds its degradation."""


class PictureData:
    """The pictures of a recipe, split into what is learned from and what is measured on."""

    def __init__(
        self, recipe: Recipe, material: Material, places: Iterable[Path], work: Path, processes: int | None
    ) -> None:
        """Find and split the pictures; the arguments are those of `train.material.gather.gather`.

        Raises:
            ValueError: There is no picture, or too few for the split, or two have the same name.
        """
        self._recipe, self._work, self._processes = recipe, work, processes
        self._learned, self._measured = _split(recipe, material, places, work)
        self._load = _loader(recipe, work)

    def valid(self) -> list[Example]:
        """See `train.material.data.Data`."""
        self._prepare(self._measured)
        return self._examples(self._measured)

    def split(self, memory: float) -> Split:
        """See `train.material.data.Data`. If pictures are streamed, at most ``MEASURED`` are for validation."""
        items = self._learned + self._measured
        self._prepare(items)
        if _bytes_of(self._recipe, items) <= memory:
            examples = self._examples(items)
            names = {path.stem for _, path in self._measured}
            return [each for each in examples if each.picture not in names], [e for e in examples if e.picture in names]
        valid = self._examples(self._measured[:: -(-len(self._measured) // MEASURED)])
        return Stream(self._learned, self._load, valid, self._processes), valid

    def _prepare(self, items: Sequence[Item]) -> None:
        """Make what is coded, or else report mistakes in the degradation before the workers start."""
        degradation = self._recipe.degradation
        if degradation["name"] == "av1":
            jobs = codings((path for _, path in items), str(degradation["ratio"]), clips=self._recipe.clips)
            code(jobs, self._work / "coded", self._processes)
        else:
            DEGRADATIONS.make(**degradation)

    def _examples(self, items: Iterable[Item]) -> list[Example]:
        with worker_pool(self._processes) as pool:
            futures = [pool.submit(self._load, item) for item in items]
            return [example for future in futures for example in future.result()]


def _split(recipe: Recipe, material: Material, places: Iterable[Path], work: Path) -> tuple[list[Item], list[Item]]:
    files = material.files(places, work)
    check_names(files)
    measured = material.measured(files, recipe.valid_share, recipe.seed)
    parts: tuple[list[Item], list[Item]] = [], []
    for item in enumerate(files):
        parts[item[1].stem in measured].append(item)
    if not all(parts):
        raise ValueError(
            f"{', '.join(map(str, places))}: {len(files)} picture{'' if len(files) == 1 else 's'} cannot be split into "
            "what is learned from and what is measured on; give more with --images"
        )
    return parts


def _loader(recipe: Recipe, work: Path) -> Callable[[Item], list[Example]]:
    if recipe.degradation["name"] == "av1":
        return partial(_decoded, recipe, work / "coded")
    return partial(_degraded, recipe)


def _decoded(recipe: Recipe, folder: Path, item: Item) -> list[Example]:
    return load_picture(codings([item[1]], str(recipe.degradation["ratio"]), clips=recipe.clips), folder)


def _degraded(recipe: Recipe, item: Item) -> list[Example]:
    number, path = item
    degradation = DEGRADATIONS.make(**recipe.degradation)
    is_rgb = recipe.make_network().channels == RGB
    examples = []
    for scale in recipe.scales:
        picture = scaled_rgb(read_rgb8(path), scale) if is_rgb else clip_planes(read_yuv420(path, scale))[0]
        for copy in range(recipe.copies):
            rng = np.random.default_rng((recipe.seed, number, copy, round(100 * scale)))
            try:
                made = degradation(picture, rng)
            except ValueError as reason:
                raise ValueError(f"{path.name}, at {scale:g} of its size: {reason}") from reason
            original = np.ascontiguousarray(covered(picture, made))
            examples.append(Example(made.input, original, made.q or 0.0, path.stem, made.clean))
    return examples


def _bytes_of(recipe: Recipe, items: Sequence[Item]) -> float:
    """Estimated size of the examples of ``items``."""
    looked_at = items[:: -(-len(items) // _LOOKED_AT)]
    pixels = len(items) * float(np.mean([math.prod(size_of(path)) for _, path in looked_at]))
    if recipe.degradation["name"] == "av1":
        clips = len(items) * len(CLIP_BANDS) * len(KEPT_FRAMES) * 2 * CLIP_SIZE[0] * CLIP_SIZE[1] if recipe.clips else 0
        # The original, and a decoded plane per band.
        return pixels * (1 + len(LEVEL_BANDS)) + clips
    network = recipe.make_network()
    of_pixel = (1 + 1 / network.scale**2) * recipe.copies * network.channels
    return pixels * of_pixel * sum(scale**2 for scale in recipe.scales)
