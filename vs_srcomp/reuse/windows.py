"""Which windows of a plane to run a network on, so that the blocks that are asked for come out as of the whole plane.

A window is a rectangle of blocks with the pixels around it that their result depends on. It ends at borders of the
plane, so that the network's own padding appears there and nowhere else.
"""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vs_srcomp.backends.base import Around

BLOCK = 8
"""Side in pixels of the squares in which planes are compared; those at the right and lower border may be cut."""

type Blocks = NDArray[np.bool_]
"""Marks on the blocks of a plane, (height, width) in blocks."""

CALL = 4000
"""Pixels in inference that take about as long as what each window costs besides: calls, and copies."""

# New sizes of windows are multiples of these steps, by the length from which they hold: libraries make code for each
# size, which takes as long as some 25,000 pixels in inference.
_STEPS = ((0, 16), (256, 32), (1024, 64))

# A window takes a size that there has been before if it has at most so many pixels more.
_MOST_SPARE = 20000

# Sizes that are remembered, about as many as libraries keep code for.
_SIZES = 96

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
        self._width, self._height, self.margin = width, height, margin
        # Around a part, layers compute about this many pixels on average: the first as many as all need, the last none.
        self._halo = margin // 2
        # Least recently used first; kinds with widths and heights.
        self._sizes: OrderedDict[tuple[tuple[bool, bool], tuple[int, int]], None] = OrderedDict()
        self._lock = threading.Lock()

    def reach(self, changed: Blocks) -> Blocks:
        """The blocks whose result may depend on those that are ``changed``."""
        steps = -(-self.margin // BLOCK)
        return _spread(_spread(changed, steps).T, steps).T

    def cover(self, blocks: Blocks) -> list[Rectangle]:
        """Rectangles that together hold ``blocks``, cut such that their windows have few pixels."""
        return self._cut(blocks, 0, 0, _DEPTH)[1]

    def window(self, part: Rectangle) -> "Window":
        """The pixels that the result for ``part`` depends on, and some more: windows have not too many sizes."""
        across = _Axis(part.left, part.right, self._width, self.margin)
        down = _Axis(part.top, part.bottom, self._height, self.margin)
        width, height = self._size(across, down)
        (left, right, *sides), (top, bottom, *ends) = across.placed(width), down.placed(height)
        return Window(Rectangle(left, top, right, bottom), Around(sides[0], ends[0], sides[1], ends[1]))

    def cost(self, window: "Window") -> int:
        """Pixels of a whole plane that take about as long as ``window``."""
        spared = 2 * (self.margin - self._halo)
        box = window.pixels
        width, height = (box.right - box.left, box.bottom - box.top)
        return (width - spared * window.kind[0]) * (height - spared * window.kind[1]) + CALL

    def samples(self, kind: "Kind") -> "list[Window]":
        """Two windows of a kind, of different sizes, to try out how they are computed."""
        windows = []
        for share in (4, 7):
            edges = []
            for whole, is_inside in ((self._width, kind[0]), (self._height, kind[1])):
                length = max(whole // BLOCK // share, 1) * BLOCK
                begin = self.margin if is_inside else 0 if share == 4 else whole - length
                edges += [begin, min(begin + length, whole - begin if is_inside else whole)]
            left, right, top, bottom = edges
            windows.append(self.window(Rectangle(left, top, right, bottom)))
        return windows

    def _size(self, across: "_Axis", down: "_Axis") -> tuple[int, int]:
        """Width and height of a window: of one that there has been before, if it is little larger than it need be."""
        kind, width, height = (across.is_inside, down.is_inside), across.length, down.length
        with self._lock:
            fitting = [
                size
                for known, size in self._sizes
                if known == kind
                and size[0] >= width
                and size[1] >= height
                and size[0] * size[1] <= width * height + _MOST_SPARE
            ]
            size = min(fitting, key=math.prod, default=(across.rounded, down.rounded))
            self._sizes[kind, size] = None
            self._sizes.move_to_end((kind, size))
            if len(self._sizes) > _SIZES:
                self._sizes.popitem(last=False)
        return size

    def _cost(self, left: int, top: int, right: int, bottom: int) -> int:
        """Pixels of the window for a rectangle with these edges in blocks, and what it costs besides."""
        width = self._length(left * BLOCK, min(right * BLOCK, self._width), self._width)
        return width * self._length(top * BLOCK, min(bottom * BLOCK, self._height), self._height) + CALL

    def _length(self, begin: int, end: int, whole: int) -> int:
        if self.margin <= begin and end + self.margin <= whole:
            return end - begin + 2 * self._halo
        return min(end + self.margin, whole) - max(begin - self.margin, 0)

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
        """`_length` for edges in blocks."""
        begin, end = begin * BLOCK, np.minimum(end * BLOCK, whole)
        is_inside = (begin >= self.margin) & (end + self.margin <= whole)
        at_border = np.minimum(end + self.margin, whole) - np.maximum(begin - self.margin, 0)
        return np.where(is_inside, end - begin + 2 * self._halo, at_border)


type Kind = tuple[bool, bool]
"""Whether a window reaches no border of the plane, horizontally and vertically."""


@dataclass(frozen=True)
class Window:
    """What a network is given."""

    pixels: Rectangle
    around: Around
    """Of these, those on which the part's result depends, besides its own."""

    @property
    def part(self) -> Rectangle:
        """What it gives."""
        box, around = self.pixels, self.around
        return Rectangle(
            box.left + around.left, box.top + around.top, box.right - around.right, box.bottom - around.bottom
        )

    @property
    def kind(self) -> Kind:
        """By what libraries may have code of its own for it."""
        return bool(self.around.left and self.around.right), bool(self.around.top and self.around.bottom)


@dataclass(frozen=True)
class _Axis:
    """A part in one direction: its edges, the length of the plane, and the pixels around it that count."""

    begin: int
    end: int
    whole: int
    margin: int

    @property
    def is_inside(self) -> bool:
        return self.margin <= self.begin and self.end + self.margin <= self.whole

    @property
    def length(self) -> int:
        """That a window has at least."""
        return min(self.end + self.margin, self.whole) - max(self.begin - self.margin, 0)

    @property
    def rounded(self) -> int:
        step = next(step for least, step in reversed(_STEPS) if self.length >= least)
        return min(-(-self.length // step) * step, self.whole)

    def placed(self, length: int) -> tuple[int, int, int, int]:
        """Edges of a window of that length, and the pixels of it before and behind what it gives."""
        start = min(max(self.begin - self.margin, 0), self.whole - length)
        end = start + length
        if self.is_inside:
            return start, end, self.margin, self.margin
        return start, end, self.margin if start else 0, self.margin if end < self.whole else 0


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
