"""Planes that networks have seen, with what they made of them: found again by their content, in whatever order.

A worker puts its plane into the memory before the network runs. Others that find it there need not wait for it until
they have done what is theirs to do. Nobody waits for a plane that came later, so that two never wait for each other.
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
"""Bytes that all planes in the memory of a process take, for planes of up to `LIMIT_PIXELS`; in proportion above."""

LIMIT_PIXELS = 1920 * 1080
"""That of 1080p, of each plane that networks give."""

# Of the rows of a plane, one in so many is looked at to find out which planes are alike; in pieces of so many bytes.
_SAMPLED_ROWS = 16
_SAMPLED_BYTES = 64

# Of these pieces: where fewer are in a picture, hardly any neighbourhood is as it was.
_LEAST_ALIKE = 0.15

# What one more picture must have of them that no other has.
_LEAST_MORE = 0.02

# Pictures that are compared with a plane as a whole. No more are held, so that there is room for other planes.
_MOST_COMPARED = 4


class Picture:
    """A plane and what the network gives for it, once that is ``done``."""

    def __init__(self, source: tuple[int, int], target: tuple[int, int], dtype: np.dtype[Any]) -> None:
        """Make room for planes of these heights and widths."""
        self.key: Hashable = None
        self._shape = source
        # What is beyond the plane in its last blocks is 0 in all pictures.
        self._rows = np.zeros(_padded(source, dtype), dtype)
        self.target = np.empty(target, dtype)
        self.samples: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.done = threading.Event()
        self.is_good = False
        """Whether ``target`` is what the network gives, when it is ``done``."""
        self.users = 0

    @property
    def source(self) -> Luma:
        """The plane that the network is given."""
        return self._rows[: self._shape[0], : self._shape[1]]

    @property
    def bytes(self) -> int:
        """That it takes."""
        return self._rows.nbytes + self.target.nbytes

    def fits(self, source: tuple[int, int], target: tuple[int, int], dtype: np.dtype[Any]) -> bool:
        """Whether planes of these shapes can be put into it."""
        return (self._shape, self.target.shape, self.target.dtype) == (source, target, dtype)

    def take_in(self, key: Hashable, source: Luma) -> None:
        """Become the picture of ``source``, which is not done yet."""
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
    """That a picture of planes of these heights and widths takes."""
    height, width = _padded(source, dtype)
    return (height * width + target[0] * target[1]) * dtype.itemsize


def _padded(source: tuple[int, int], dtype: np.dtype[Any]) -> tuple[int, int]:
    """Height and width up to whole blocks, and rows up to whole pieces that are sampled."""
    height, width = source
    piece = _SAMPLED_BYTES // dtype.itemsize
    return -(-height // BLOCK) * BLOCK, -(-width // piece) * piece


class Memory:
    """The pictures of a process."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Hold at most ``limit`` bytes, for planes of up to 1080p."""
        self._limit = limit
        self._lock = threading.Lock()
        # Those that were used least recently come first.
        self._pictures: list[Picture] = []
        self._spare: list[Picture] = []

    @property
    def bytes(self) -> int:
        """That all pictures take."""
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
        picture.take_in(key, source)
        with self._lock:
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
        """Let others have the result of ``picture``."""
        picture.is_good = True
        picture.done.set()
        with self._lock:
            picture.users -= 1

    def drop(self, picture: Picture) -> None:
        """Take ``picture`` out again, for which there is no result; others that have found it do without."""
        with self._lock:
            self._pictures.remove(picture)
            picture.users -= 1
        picture.done.set()

    def release(self, pictures: Sequence[Picture]) -> None:
        """Use ``pictures`` no longer."""
        with self._lock:
            for picture in pictures:
                picture.users -= 1

    def forget(self) -> None:
        """Forget all pictures that nobody uses now."""
        with self._lock:
            self._pictures = [picture for picture in self._pictures if picture.users]
            self._spare.clear()

    def _room(self, source: tuple[int, int], target: tuple[int, int], dtype: np.dtype[Any]) -> Picture | None:
        """A picture for planes of these shapes, in the place of old ones if there must be; it is used by the caller."""
        limit = round(self._limit * max(1, target[0] * target[1] / LIMIT_PIXELS))
        with self._lock:
            picture = next((spare for spare in self._spare if spare.fits(source, target, dtype)), None)
            self._spare.clear()
            while self._bytes() + bytes_of(source, target, dtype) > limit:
                old = next((old for old in self._pictures if not old.users), None)
                if old is None:
                    return None
                self._pictures.remove(old)
                if old.fits(source, target, dtype):
                    picture = old
            picture = picture or Picture(source, target, dtype)
            picture.users = 1
        return picture

    def _last(self, picture: Picture) -> None:
        if picture in self._pictures:
            self._pictures.remove(picture)
            self._pictures.append(picture)

    def _bytes(self) -> int:
        return sum(picture.bytes for picture in (*self._pictures, *self._spare))


def _most_alike(picture: Picture, others: Sequence[Picture]) -> list[Picture]:
    """Those that together have most of ``picture``, as far as samples tell; the one that has most comes first."""
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
    """What there is for a plane; each picture in it is to be given back to the memory."""

    picture: Picture | None = None
    """Its own, without result: for `Memory.finish` or `Memory.drop`. None if the plane was there, or there is no room.
    """
    same: Picture | None = None
    """That of the same plane, for `Memory.release`."""
    others: list[Picture] = field(default_factory=list)
    """A few of other planes, those that are most alike, for `Memory.release`."""
