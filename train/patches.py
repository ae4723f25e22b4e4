"""Patch pairs of a photograph: positions, degraded and original samples, and their file."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from train.coding import decode, encode, encoder_argv, libaom_version, still_options
from train.errors import EncoderError
from train.ffmpeg import ffmpeg_version
from train.material.pictures import Plane, clip_planes, read_yuv420
from train.npz import read_array, write_npz
from train.pairs import Pair
from vs_srcomp.resample import lanczos5

TRAINING_SIZE = 48
TEST_SIZE = 64
SIZES = (TRAINING_SIZE, TEST_SIZE)
"""Sides of training and test patches."""

MIN_CONTRAST = 8
"""Least difference between the lightest and the darkest code of an original patch."""

# Largest side of a picture at AV1's highest level.
MAX_SIDE = 16384


@dataclass(frozen=True)
class Photograph:
    """A picture that contains usable patches."""

    path: Path
    sha256: str
    """Digest of the file."""
    width: int
    height: int
    """Height in luma pixels; like ``width``, cropped to a multiple of 16."""
    places: Mapping[int, int]
    """Number of usable positions by patch size."""


def look_at(path: Path) -> Photograph | str:
    """Check a picture; returns the reason if it is unusable."""
    try:
        luma = clip_planes(read_yuv420(path))[0]
    except ValueError as reason:
        return str(reason)
    height, width = luma.shape
    if min(luma.shape) < max(SIZES):
        return f"{path.name}: {width}x{height} is smaller than a patch of {max(SIZES)}x{max(SIZES)}"
    if max(luma.shape) > MAX_SIDE:
        return f"{path.name}: {width}x{height} is larger than AV1's {MAX_SIDE}x{MAX_SIDE}"
    places = {size: int(np.count_nonzero(_contrast(luma, size) >= MIN_CONTRAST)) for size in SIZES}
    if not all(places.values()):
        return f"{path.name}: flat, no patch spans {MIN_CONTRAST} codes"
    return Photograph(path, hashlib.sha256(path.read_bytes()).hexdigest(), width, height, places)


def choose_corners(luma: Plane, size: int, count: int, seed: tuple[int, ...]) -> list[tuple[int, int]]:
    """Top and left of ``count`` different random patches with contrast, or of all if there are fewer.

    They depend only on the plane, the size and the seed.
    """
    usable = _contrast(luma, size) >= MIN_CONTRAST
    up_to_row = np.cumsum(np.count_nonzero(usable, axis=1))
    places = int(up_to_row[-1])
    chosen = np.random.default_rng((*seed, size)).choice(places, min(count, places), replace=False)
    rows = np.searchsorted(up_to_row, chosen, side="right")
    lefts = (np.flatnonzero(usable[row])[place - up_to_row[row]] for row, place in zip(rows, chosen, strict=True))
    return [(int(row), int(left)) for row, left in zip(rows, lefts, strict=True)]


def _contrast(luma: Plane, size: int) -> Plane:
    """Lightest minus darkest code of the patch at each position, (height - size + 1, width - size + 1)."""
    return _running(np.maximum, luma, size) - _running(np.minimum, luma, size)


def _running(pick: Callable[[Plane, Plane], Plane], plane: Plane, size: int) -> Plane:
    """``pick`` over each ``size`` x ``size`` window, by doubling: a window of 2n is two of n."""
    for _ in range(2):
        length = 1
        while length < size:
            step = min(length, size - length)
            plane = pick(plane[:-step], plane[step:])
            length += step
        plane = plane.T
    return plane


@dataclass(frozen=True)
class Shard:
    """The patches of one photograph for one pair: parameters and file."""

    photograph: Photograph
    pair: Pair
    size: int
    count: int
    """Maximum number of patches."""
    seed: int
    cpu_used: int
    """Speed level of the encoder."""
    folder: Path

    @property
    def patches(self) -> int:
        """Number of patches."""
        return min(self.count, self.photograph.places[self.size])

    @cached_property
    def path(self) -> Path:
        """Path with a digest of everything that determines the content: an existing file is never out of date."""
        width, height = coded_size(self.photograph, self.pair)
        argv = encoder_argv(width, height, still_options(self.cpu_used), self.pair.q)[1:]
        versions = ffmpeg_version(), libaom_version(), vs.core.core_version.release_major
        key = (self.photograph.sha256, self.pair.slug, self.size, self.patches, self.seed, argv, *versions)
        return self.folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}.npz"

    def is_there(self) -> bool:
        """Whether the file exists and is complete and undamaged."""
        shape = self.patches, self.size, self.size
        try:
            return all(read_array(self.path, key).shape == shape for key in ("lr", "hr"))
        except (OSError, ValueError, KeyError):
            return False


def coded_size(photograph: Photograph, pair: Pair) -> tuple[int, int]:
    """Width and height of the encoder's input."""
    return int(photograph.width / pair.ratio.factor), int(photograph.height / pair.ratio.factor)


def make_shard(shard: Shard) -> None:
    """Cut the patches of a photograph from the picture in playback, and from the original at the same positions.

    Raises:
        EncoderError: The encoder failed; the message names the picture.
    """
    picture = read_yuv420(shard.photograph.path)
    original = clip_planes(picture)[0]
    seed = shard.seed, int(shard.photograph.sha256, 16)
    corners = choose_corners(original, shard.size, shard.count, seed)
    try:
        decoded = decode(encode(picture, shard.pair, shard.cpu_used))
    except EncoderError as reason:
        raise EncoderError(f"{shard.photograph.path.name}: {reason}") from reason
    degraded = clip_planes(lanczos5(decoded, picture.width, picture.height))[0]
    shard.folder.mkdir(parents=True, exist_ok=True)
    write_npz(shard.path, {"lr": _cut(degraded, corners, shard.size), "hr": _cut(original, corners, shard.size)})


def _cut(plane: Plane, corners: list[tuple[int, int]], size: int) -> NDArray[np.uint8]:
    return np.stack([plane[top : top + size, left : left + size] for top, left in corners])
