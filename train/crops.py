"""Pairs of planes in memory, and the random crops that training draws from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.degrade import Pair, decode, stream_path
from train.pictures import Plane, clip_planes
from vs_srcomp.resample import lanczos5

# Where every ratio repeats: 8:5 makes eight pixels of five. A crop that begins there lies on Lanczos's phases as the
# corner of a picture does; a network with steps of its own learns to rely on that.
PHASES = 8


@dataclass(frozen=True)
class PlanePair:
    """One picture: what playback feeds the network, and what it should give back."""

    degraded: Plane
    original: Plane

    @property
    def error(self) -> float:
        """Mean squared error of the degraded plane, in squared code values."""
        return float(np.mean((self.degraded.astype(np.float32) - self.original) ** 2))


def load_pairs(originals: Iterable[tuple[str, Plane]], streams: Path, pair: Pair) -> list[PlanePair]:
    """Decode and upscale the stream of each original, as playback does."""
    pairs = []
    for name, original in originals:
        height, width = original.shape
        upscaled = lanczos5(decode(stream_path(streams, pair, name).read_bytes()), width, height)
        pairs.append(PlanePair(clip_planes(upscaled)[0], original))
    return pairs


def split[T](items: list[T], valid_share: float, seed: int) -> tuple[list[T], list[T]]:
    """Training and validation part of ``items``, by a seeded shuffle."""
    order = np.random.default_rng(seed).permutation(len(items))
    valid_count = round(len(items) * valid_share)
    return [items[i] for i in order[valid_count:]], [items[i] for i in order[:valid_count]]


class CropSampler:
    """Random square crops with a random one of the square's eight symmetries (dihedral augmentation).

    They begin at multiples of ``PHASES``, and so, mirrored, do those whose side is a multiple of it.

    Each crop carries a weight of about one over its picture's own error: the gain that is reported is a mean of
    decibels over pictures, and this makes squared error its first-order equivalent, where plain squared error would
    only serve the busiest pictures.
    """

    def __init__(self, pairs: list[PlanePair], crop: int, seed: int) -> None:
        """Sample from ``pairs``; those smaller than ``crop`` are left out."""
        self._pairs = [pair for pair in pairs if min(pair.original.shape) >= crop]
        if not self._pairs:
            raise ValueError(f"no picture is as large as a crop of {crop}x{crop}")
        self._crop = crop
        self._seed = seed
        errors = np.array([pair.error for pair in self._pairs])
        weights = 1 / (errors + 0.2 * errors.mean())
        self._weights = (weights / weights.mean()).astype(np.float32)

    def draw(self, step: int, count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
        """Degraded and original crops, (count, crop, crop) each, and their weights, (count,) with mean 1.

        They depend on the seed and ``step`` alone, so that a run which goes on draws what it would have drawn.
        """
        rng = np.random.default_rng((self._seed, step))
        shape = (count, self._crop, self._crop)
        degraded, original = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        chosen = rng.integers(len(self._pairs), size=count)
        for index, pair_index in enumerate(chosen):
            pair = self._pairs[pair_index]
            top, left = (PHASES * rng.integers((size - self._crop) // PHASES + 1) for size in pair.original.shape)
            symmetry = int(rng.integers(8))
            window = np.s_[top : top + self._crop, left : left + self._crop]
            degraded[index] = _dihedral(pair.degraded[window], symmetry)
            original[index] = _dihedral(pair.original[window], symmetry)
        return degraded, original, self._weights[chosen]


def _dihedral(square: Plane, symmetry: int) -> Plane:
    turned = np.rot90(square, symmetry % 4)
    return turned.T if symmetry >= 4 else turned
