"""Planes with their results, found by content.

A worker puts its plane into the memory before the network runs. Another worker that needs its result does its own work
first and then waits. No worker waits for a plane that came later than its own, so there is no deadlock.
"""

import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vs_srcomp.backends.base import Luma
from vs_srcomp.reuse.windows import BLOCK, Blocks

LIMIT = 64_000_000
"""Bytes that all planes in the memory of a process take at most, for results of up to `LIMIT_PIXELS`; for larger ones,
in proportion."""

LIMIT_PIXELS = 1920 * 1080
"""The size of 1080p."""

# Similar planes are found by samples: the sum of each piece of this many bytes in one row of this many.
_SAMPLED_ROWS = 16
_SAMPLED_BYTES = 64

# A picture with a smaller share of equal pieces is not compared: hardly any neighbourhood is unchanged.
_LEAST_ALIKE = 0.15

# The share of pieces that a further picture must add.
_LEAST_MORE = 0.02

# How many pictures a plane is compared with in full. They cannot be dropped meanwhile, and other planes need room.
_MOST_COMPARED = 4


class Picture:
    """A plane and, once ``done`` is set, the network's result for it."""

    def __init__(self, source: tuple[int, int], target: tuple[int, int], dtype: np.dtype[Any]) -> None:
        """Allocate planes of these heights and widths."""
        self.key: Hashable = None
        self._shape = source
        # The last blocks may reach past the plane: there all pictures hold 0.
        self._rows = np.zeros(_padded(source, dtype), dtype)
        self.target = np.empty(target, dtype)
        self.samples: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.done = threading.Event()
        self.is_good = False
        """Whether ``target`` holds the result, once ``done`` is set."""
        self.users = 0

    @property
    def source(self) -> Luma:
        """The network's input."""
        return self._rows[: self._shape[0], : self._shape[1]]

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return self._rows.nbytes + self.target.nbytes

    def fits(self, source: tuple[int, int], target: tuple[int, int], dtype: np.dtype[Any]) -> bool:
        """Whether it can hold planes of these shapes."""
        return (self._shape, self.target.shape, self.target.dtype) == (source, target, dtype)

    def take_in(self, key: Hashable, source: Luma) -> None:
        """Hold ``source``, without a result yet."""
        self.key = key
        np.copyto(self.source, source)
        rows = self._rows[::_SAMPLED_ROWS].view(np.uint64)
        self.samples = rows.reshape(-1, _SAMPLED_BYTES // 8).sum(1, dtype=np.uint64)
        self.done.clear()
        self.is_good = False

    def is_equal(self, other: "Picture") -> bool:
        """Whether the planes are the same, byte for byte."""
        return bool((self._words == other._words).all())

    def changed(self, other: "Picture") -> Blocks:
        """The blocks of the plane in which any byte differs from ``other``."""
        differ = (self._words != other._words).view(np.uint8)
        blocks = np.bitwise_or.reduce(differ.reshape(-1, BLOCK, differ.shape[1]), axis=1)
        if self._rows.itemsize == 2:
            blocks = blocks[:, ::2] | blocks[:, 1::2]
        marks: Blocks = blocks[:, : -(-self._shape[1] // BLOCK)].view(np.bool_)
        return marks

    @property
    def _words(self) -> NDArray[np.uint64]:
        return self._rows.view(np.uint64)


def bytes_of(source: tuple[int, int], target: tuple[int, int], dtype: np.dtype[Any]) -> int:
    """Memory that a picture of planes of these heights and widths takes."""
    height, width = _padded(source, dtype)
    return (height * width + target[0] * target[1]) * dtype.itemsize


def _padded(source: tuple[int, int], dtype: np.dtype[Any]) -> tuple[int, int]:
    """Height rounded up to whole blocks, and width to whole sampled pieces."""
    height, width = source
    piece = _SAMPLED_BYTES // dtype.itemsize
    return -(-height // BLOCK) * BLOCK, -(-width // piece) * piece


class Memory:
    """The pictures of a process."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Hold at most ``limit`` bytes, for planes of up to 1080p."""
        self._limit = limit
        self._lock = threading.Lock()
        # Least recently used first.
        self._pictures: list[Picture] = []
        self._spare: list[Picture] = []
        # Those that a worker fills just now: nobody else can find them yet.
        self._filling: list[Picture] = []

    @property
    def bytes(self) -> int:
        """Memory that all pictures take."""
        with self._lock:
            return self._bytes()

    def put(self, key: Hashable, source: Luma, target: tuple[int, int]) -> "Found":
        """Put ``source`` into the memory, unless it is there.

        Args:
            key: What the result depends on besides the plane.
            source: The plane.
            target: Height and width of the result.
        """
        shape = source.shape[0], source.shape[1]
        picture = self._room(shape, target, source.dtype)
        if picture is None:
            return Found()
        try:
            picture.take_in(key, source)
        except BaseException:
            with self._lock:
                self._filling.remove(picture)
            raise
        with self._lock:
            self._filling.remove(picture)
            others = [other for other in reversed(self._pictures) if other.key == key]
            for other in others:
                if np.array_equal(other.samples, picture.samples) and other.is_equal(picture):
                    self._spare.append(picture)
                    self._last(other)
                    other.users += 1
                    return Found(same=other)
            alike = _most_alike(picture, others)
            for other in alike:
                other.users += 1
            self._pictures.append(picture)
        return Found(picture, others=alike)

    def finish(self, picture: Picture) -> None:
        """Make the result of ``picture`` available."""
        picture.is_good = True
        picture.done.set()
        with self._lock:
            picture.users -= 1

    def drop(self, picture: Picture) -> None:
        """Remove ``picture``, which gets no result; workers that wait for it do without."""
        with self._lock:
            self._pictures.remove(picture)
            picture.users -= 1
        picture.done.set()

    def release(self, pictures: Sequence[Picture]) -> None:
        """End the use of ``pictures``."""
        with self._lock:
            for picture in pictures:
                picture.users -= 1

    def forget(self) -> None:
        """Remove all pictures that are not in use."""
        with self._lock:
            self._pictures = [picture for picture in self._pictures if picture.users]
            self._spare.clear()

    def _room(self, source: tuple[int, int], target: tuple[int, int], dtype: np.dtype[Any]) -> Picture | None:
        """A picture for planes of these shapes, in use by the caller; old ones make room. None if there is no room."""
        limit = round(self._limit * max(1, target[0] * target[1] / LIMIT_PIXELS))
        needed = bytes_of(source, target, dtype)
        with self._lock:
            picture = next((spare for spare in self._spare if spare.fits(source, target, dtype)), None)
            self._spare.clear()
            unused = [old for old in self._pictures if not old.users]
            if self._bytes() - sum(old.bytes for old in unused) + needed > limit:
                return None
            while self._bytes() + needed > limit:
                old = unused.pop(0)
                self._pictures.remove(old)
                if old.fits(source, target, dtype):
                    picture = old
            picture = picture or Picture(source, target, dtype)
            picture.users = 1
            self._filling.append(picture)
        return picture

    def _last(self, picture: Picture) -> None:
        if picture in self._pictures:
            self._pictures.remove(picture)
            self._pictures.append(picture)

    def _bytes(self) -> int:
        return sum(picture.bytes for picture in (*self._pictures, *self._spare, *self._filling))


def _most_alike(picture: Picture, others: Sequence[Picture]) -> list[Picture]:
    """The pictures that together have most of ``picture``, by their samples; the most similar one comes first."""
    if not others:
        return []
    equal = np.array([other.samples == picture.samples for other in others])
    missing = np.ones(equal.shape[1], bool)
    chosen: list[Picture] = []
    while len(chosen) < _MOST_COMPARED:
        gains = (equal & missing).mean(1)
        best = int(gains.argmax())
        if gains[best] < (_LEAST_MORE if chosen else _LEAST_ALIKE):
            break
        chosen.append(others[best])
        missing &= ~equal[best]
    return chosen


@dataclass(frozen=True)
class Found:
    """What the memory has for a plane. The caller must give back each picture in it."""

    picture: Picture | None = None
    """The plane's own, without a result: give it to `Memory.finish` or `Memory.drop`. None if the plane was there
    already, or if there is no room."""
    same: Picture | None = None
    """An equal plane: give it to `Memory.release`."""
    others: list[Picture] = field(default_factory=list)
    """The most similar other planes: give them to `Memory.release`."""
