"""Training and validation data for a recipe."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from train.degradations import DEGRADATIONS
from train.degradations.av1 import worker_pool
from train.degradations.degradation import covered
from train.material.coded import CLIP_BANDS, CLIP_SIZE, KEPT_FRAMES, LEVEL_BANDS, Example, code, codings, load_picture
from train.material.material import Material
from train.material.patches import Patches, Rows, load_patches, parts_of
from train.material.pictures import check_names, clip_planes, read_rgb8, read_yuv420, scaled_rgb, size_of
from train.material.stream import Stream
from train.parallel import processes_here
from train.recipe import Recipe
from vs_srcomp.memory import memory_limit

RGB = 3
"""Channels of networks for RGB."""

MEMORY_SHARE: Final = 1 / 4
"""Share of memory for examples, which training copies once. More examples than that are streamed. The processes that
train together divide it, since each has all examples."""
MEASURED: Final = 120
"""Size limit of the validation set if examples are streamed."""

# Number of pictures that are opened to estimate the size of all.
_LOOKED_AT: Final = 100

type Item = tuple[int, Path]
"""A picture and its number, which seeds its degradation."""
type Split = tuple[list[Example] | Stream, list[Example]]
"""Training data, and validation data."""


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
            self._last_valid = key, self._read_valid(recipe)
        return self._last_valid[1]

    def _read_valid(self, recipe: Recipe) -> list[Example]:
        material = recipe.make_material()
        if isinstance(material, Patches):
            return load_patches(_split_patches(recipe, material, self._places)[1])
        _, measured = _split(recipe, material, self._places, self._work)
        if recipe.degradation["name"] == "av1":
            _code(recipe, measured, self._work, self._processes)
        return _load(_loader(recipe, self._work), measured, self._processes)


def _data_key(recipe: Recipe) -> object:
    """What the data of ``recipe`` depend on."""
    material = (recipe.degradation, recipe.scales, recipe.copies, recipe.clips, recipe.valid_share, recipe.seed)
    return recipe.material, material, recipe.make_network().channels


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
            training set is a `Stream`, and the validation set has at most ``MEASURED`` pictures, or about
            `train.material.patches.STREAMED` patches.

    Raises:
        ValueError: There is no picture, or too few for the split; two have the same name; or the degradation has no
            such parameter.
    """
    if memory is None:
        memory = memory_limit() * MEMORY_SHARE / processes_here()
    material = recipe.make_material()
    if isinstance(material, Patches):
        return _gather_patches(*_split_patches(recipe, material, places), processes, memory)
    learned, measured = _split(recipe, material, places, work)
    if recipe.degradation["name"] == "av1":
        _code(recipe, learned + measured, work, processes)
    else:
        DEGRADATIONS.make(**recipe.degradation)  # Reports mistakes before the workers start.
    load = _loader(recipe, work)
    if _bytes_of(recipe, learned + measured) <= memory:
        examples = _load(load, learned + measured, processes)
        names = {path.stem for _, path in measured}
        return [each for each in examples if each.picture not in names], [e for e in examples if e.picture in names]
    valid = _load(load, measured[:: -(-len(measured) // MEASURED)], processes)
    return Stream(learned, load, valid, processes), valid


def _gather_patches(learned: Sequence[Rows], measured: Sequence[Rows], processes: int | None, memory: float) -> Split:
    if sum(rows.size for rows in (*learned, *measured)) <= memory:
        return load_patches(learned), load_patches(measured)
    valid, parts = load_patches(measured, parts_of(measured)), parts_of(learned)
    return Stream(range(parts), partial(load_patches, learned, parts), valid, processes), valid


def _split_patches(recipe: Recipe, material: Patches, places: Iterable[Path]) -> tuple[list[Rows], list[Rows]]:
    assert recipe.ratio is not None
    return material.split(places, recipe.ratio, recipe.crop, recipe.valid_share, recipe.seed)


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


def _code(recipe: Recipe, items: Iterable[Item], work: Path, processes: int | None) -> None:
    jobs = codings((path for _, path in items), str(recipe.degradation["ratio"]), clips=recipe.clips)
    code(jobs, work / "coded", processes)


def _load(load: Callable[[Item], list[Example]], items: Iterable[Item], processes: int | None) -> list[Example]:
    with worker_pool(processes) as pool:
        futures = [pool.submit(load, item) for item in items]
        return [example for future in futures for example in future.result()]


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
