"""Which windows of a plane to run a network on, so that the blocks that are asked for come out as of the whole plane.

A window is a rectangle of blocks with the pixels around it that their result depends on. One that would reach beyond
the plane is moved inwards, so that the network's own padding appears at borders of the plane and nowhere else.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 8
"""Side in pixels of the squares in which planes are compared; those at the right and lower border may be cut."""

type Blocks = NDArray[np.bool_]
"""Marks on the blocks of a plane, (height, width) in blocks."""

CALL = 3000
"""Pixels in inference that take about as long as what each window costs besides: calls, and copies."""

# Windows grow in steps, by the length from which these hold: libraries make code for each size.
_STEPS = ((0, 16), (256, 32), (1024, 64))

# Cuts are searched so many levels deep: at most 2 to that power windows.
_DEPTH = 4

# Of the blocks of a rectangle: where so many are asked for, a cut gains little.
_DENSE = 0.8


@dataclass(frozen=True)
class Rectangle:
    """A part of a plane: its edges in pixels, right and bottom not included."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def pixels(self) -> int:
        """How many there are in it."""
        return (self.right - self.left) * (self.bottom - self.top)

    def scaled(self, scale: int) -> tuple[slice, slice]:
        """Its rows and columns in a plane ``scale`` times as large."""
        return slice(self.top * scale, self.bottom * scale), slice(self.left * scale, self.right * scale)


class Windows:
    """The windows of planes of one size for a network."""

    def __init__(self, width: int, height: int, margin: int) -> None:
        """Set the geometry.

        Args:
            width: Of planes in pixels, a multiple of the network's stride.
            height: Likewise.
            margin: Pixels around a block on which its result may depend, a multiple of the stride.
        """
        self._width, self._height, self._margin = width, height, margin

    def reach(self, changed: Blocks) -> Blocks:
        """The blocks whose result may depend on those that are ``changed``."""
        steps = -(-self._margin // BLOCK)
        return _spread(_spread(changed, steps).T, steps).T

    def cover(self, blocks: Blocks) -> list[Rectangle]:
        """Rectangles that together hold ``blocks``, cut such that their windows have few pixels."""
        return self._cut(blocks, 0, 0, _DEPTH)[1]

    def pixels(self, blocks: Blocks) -> int:
        """How many pixels the windows of `cover` have at least."""
        return int(np.count_nonzero(self.reach(blocks))) * BLOCK * BLOCK

    def window(self, part: Rectangle) -> Rectangle:
        """The pixels that the result for ``part`` depends on, and some more: windows have not too many sizes."""
        left, right = self._grown(part.left, part.right, self._width)
        top, bottom = self._grown(part.top, part.bottom, self._height)
        return Rectangle(left, top, right, bottom)

    def samples(self) -> list[Rectangle]:
        """Parts at corners of the plane and in its middle, of several sizes, to try out how they are computed."""
        width, height = (max(length // BLOCK // 4, 1) * BLOCK for length in (self._width, self._height))
        middle = Rectangle(width, height, 2 * width, height + BLOCK)
        return [
            Rectangle(0, 0, width, height),
            middle,
            Rectangle(2 * width, 2 * height, self._width, self._height),
        ]

    def _grown(self, begin: int, end: int, whole: int) -> tuple[int, int]:
        needed = self._length(begin, end, whole)
        step = next(step for least, step in reversed(_STEPS) if needed >= least)
        length = min(-(-needed // step) * step, whole)
        start = min(max(begin - self._margin, 0), whole - length)
        return start, start + length

    def _length(self, begin: int, end: int, whole: int) -> int:
        return min(end + self._margin, whole) - max(begin - self._margin, 0)

    def _cost(self, left: int, top: int, right: int, bottom: int) -> int:
        """Pixels of the window for a rectangle with these edges in blocks, and what it costs besides."""
        width = self._length(left * BLOCK, min(right * BLOCK, self._width), self._width)
        return width * self._length(top * BLOCK, min(bottom * BLOCK, self._height), self._height) + CALL

    def _cut(self, blocks: Blocks, left: int, top: int, depth: int) -> tuple[int, list[Rectangle]]:
        """Cost and rectangles for ``blocks``, whose first one is at that column and row of the plane.

        The bounding box is cut in two where the boxes of both parts cost least, and so on while that is less than
        without a cut.
        """
        rows, columns = np.flatnonzero(blocks.any(1)), np.flatnonzero(blocks.any(0))
        if not len(rows):
            return 0, []
        blocks = blocks[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        left, top = left + int(columns[0]), top + int(rows[0])
        height, width = blocks.shape
        box = Rectangle(
            left * BLOCK,
            top * BLOCK,
            min((left + width) * BLOCK, self._width),
            min((top + height) * BLOCK, self._height),
        )
        whole = self._cost(left, top, left + width, top + height), [box]
        if depth == 0 or blocks.mean() > _DENSE:
            return whole
        best, is_row, place = min(self._best_cut(blocks, left, top), self._best_cut(blocks.T, top, left, turned=True))
        if best >= whole[0]:
            return whole
        if is_row:
            parts = (
                self._cut(blocks[:place], left, top, depth - 1),
                self._cut(blocks[place:], left, top + place, depth - 1),
            )
        else:
            parts = (
                self._cut(blocks[:, :place], left, top, depth - 1),
                self._cut(blocks[:, place:], left + place, top, depth - 1),
            )
        cost = parts[0][0] + parts[1][0]
        return (cost, parts[0][1] + parts[1][1]) if cost < whole[0] else whole

    def _best_cut(self, blocks: Blocks, left: int, top: int, *, turned: bool = False) -> tuple[int, bool, int]:
        """The least cost of two boxes, above and below a cut; whether it is between rows of the plane; and its row."""
        count, width = blocks.shape
        if count == 1:
            return 1 << 62, not turned, 0
        marked = blocks.any(1)
        first = np.where(marked, blocks.argmax(1), width)
        last = np.where(marked, width - blocks[:, ::-1].argmax(1), 0)
        places = np.arange(1, count)
        begins = np.minimum.accumulate(first)[:-1], np.minimum.accumulate(first[::-1])[::-1][1:]
        ends = np.maximum.accumulate(last)[:-1], np.maximum.accumulate(last[::-1])[::-1][1:]
        across, along = (self._height, self._width) if turned else (self._width, self._height)
        costs = np.full(count - 1, 2 * CALL)
        for begin, end, upper, lower in (
            (begins[0], ends[0], np.zeros_like(places), places),
            (begins[1], ends[1], places, np.full_like(places, count)),
        ):
            costs += self._lengths(begin + left, end + left, across) * self._lengths(upper + top, lower + top, along)
        place = int(costs.argmin())
        return int(costs[place]), not turned, place + 1

    def _lengths(self, begin: NDArray[np.int_], end: NDArray[np.int_], whole: int) -> NDArray[np.int_]:
        lengths: NDArray[np.int_] = np.minimum(end * BLOCK + self._margin, whole) - np.maximum(
            begin * BLOCK - self._margin, 0
        )
        return lengths


def rectangles(blocks: Blocks, width: int, height: int) -> list[Rectangle]:
    """``blocks`` of a plane of that size, in rectangles: runs of rows that are alike."""
    found = []
    row = 0
    while row < len(blocks):
        end = row + 1
        while end < len(blocks) and np.array_equal(blocks[end], blocks[row]):
            end += 1
        edges = (np.flatnonzero(np.diff(blocks[row], prepend=False, append=False)) * BLOCK).tolist()
        for begin, after in zip(edges[::2], edges[1::2], strict=True):
            found.append(Rectangle(begin, row * BLOCK, min(after, width), min(end * BLOCK, height)))
        row = end
    return found


def _spread(blocks: Blocks, steps: int) -> Blocks:
    """``blocks``, and as many rows above and below each of them."""
    spread = blocks.copy()
    for step in range(1, min(steps, len(blocks) - 1) + 1):
        spread[step:] |= blocks[:-step]
        spread[:-step] |= blocks[step:]
    return spread
