"""Which windows of a plane to run a network on, so that some of its blocks come out as they do with the whole plane.

- A block is a square of 8x8 pixels: planes are compared block by block.
- A part is a rectangle of blocks whose result is wanted.
- A window is a part and the pixels around it that its result depends on: the network's input. At a border of the plane
  the window ends there, too, so that the network pads where it would pad the whole plane, and nowhere else.
- The margin is the number of pixels around a part on which its result depends.
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

# Seconds that a window costs apart from inference, for calls and copies.
_CALL = 0.45e-3

# New sizes of windows are multiples of a step, which depends on the length: (from this length, step).
_STEPS = ((0, 16), (256, 32), (1024, 64))

# A window takes an earlier size if that costs at most so many seconds more than it must: libraries compile code for
# each size, which takes a little longer.
_MOST_SPARE = 2.4e-3

# Seconds for a pixel, before it is measured.
_PIXEL = 1e-7

# Number of sizes to remember: about as many as libraries keep code for.
_SIZES = 96

# Depth of the search for cuts: it gives at most 2**_DEPTH windows.
_DEPTH = 4

# A rectangle is not cut where this share of its blocks is wanted: a cut gains little.
_DENSE = 0.8


@dataclass(frozen=True)
class Rectangle:
    """Edges in pixels of a plane; right and bottom are not included."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def pixels(self) -> int:
        """Width times height."""
        return (self.right - self.left) * (self.bottom - self.top)

    def scaled(self, scale: int) -> tuple[slice, slice]:
        """Its rows and columns in a plane that is ``scale`` times as large."""
        return slice(self.top * scale, self.bottom * scale), slice(self.left * scale, self.right * scale)


type Kind = tuple[bool, bool]
"""Whether a window reaches no border of the plane, horizontally and vertically. Backends compile each kind."""


@dataclass(frozen=True)
class Window:
    """The input of a network for one part of a plane."""

    pixels: Rectangle
    around: Around
    """Pixels on each side that are there only because the result of the part depends on them."""

    @property
    def part(self) -> Rectangle:
        """The rectangle whose result the network gives."""
        box, around = self.pixels, self.around
        return Rectangle(
            box.left + around.left, box.top + around.top, box.right - around.right, box.bottom - around.bottom
        )

    @property
    def kind(self) -> Kind:
        """The form of the network that computes it."""
        return bool(self.around.left and self.around.right), bool(self.around.top and self.around.bottom)


class Windows:
    """The windows of planes of one size for a network."""

    def __init__(self, width: int, height: int, margin: int) -> None:
        """Set the geometry.

        Args:
            width: Width of the planes in pixels, a multiple of the network's stride.
            height: Height of the planes, also a multiple of the stride.
            margin: Pixels around a part on which its result may depend, a multiple of the stride.
        """
        self._width, self._height, self.margin = width, height, margin
        # Pixels that a window without borders saves in each direction: the first layer computes the whole margin, the
        # last none of it, so that layers compute about half of it on average.
        self._saved = 2 * (margin - margin // 2)
        # Kinds with (width, height), the least recently used first.
        self._sizes: OrderedDict[tuple[Kind, tuple[int, int]], None] = OrderedDict()
        self._lock = threading.Lock()
        self._pixel = math.inf

    def measure(self, seconds: float) -> None:
        """Take into account that a whole plane took so long; the shortest time counts."""
        self._pixel = min(self._pixel, seconds / (self._width * self._height))

    @property
    def call(self) -> int:
        """The cost of a window apart from its size, in pixels that take as long."""
        return self._pixels_in(_CALL)

    def _pixels_in(self, seconds: float) -> int:
        return round(seconds / (_PIXEL if math.isinf(self._pixel) else self._pixel))

    def reach(self, changed: Blocks) -> Blocks:
        """The blocks whose result may depend on the ``changed`` ones."""
        steps = -(-self.margin // BLOCK)
        return _spread(_spread(changed, steps).T, steps).T

    def cover(self, blocks: Blocks) -> list[Rectangle]:
        """Parts that together contain ``blocks``, cut so that their windows cost little."""
        return self._cut(blocks, 0, 0, _DEPTH)[1]

    def window(self, part: Rectangle) -> Window:
        """The window for ``part``. It may be larger than it must be, because each new size costs time once."""
        across, down = self._axes(part)
        return _placed(across, down, self._size(across, down))

    def samples(self, kind: Kind) -> list[Window]:
        """Three windows of a kind, of different sizes, to check a backend with: one is as wide as it can be."""
        windows = []
        for shares in ((4, 4), (7, 7), (1, 7)):
            edges = []
            for whole, is_inside, share in zip((self._width, self._height), kind, shares, strict=True):
                length = max(whole // BLOCK // share, 1) * BLOCK
                begin = self.margin if is_inside else 0 if share < 7 else whole - length
                edges += [begin, min(begin + length, whole - begin if is_inside else whole)]
            left, right, top, bottom = edges
            across, down = self._axes(Rectangle(left, top, right, bottom))
            size = across.rounded, down.rounded
            if 1 not in shares:  # A wide one would be taken where a small one will do.
                with self._lock:
                    self._remember(kind, size)
            windows.append(_placed(across, down, size))
        return windows

    def cost(self, window: Window) -> int:
        """Pixels of a whole plane that take about as long as ``window``."""
        box, (across, down) = window.pixels, window.kind
        return self._cost(box.right - box.left, box.bottom - box.top, across, down)

    def _size(self, across: "_Axis", down: "_Axis") -> tuple[int, int]:
        """Width and height of a window: those of an earlier one, if they are little larger than it needs."""
        kind, width, height = (across.is_inside, down.is_inside), across.length, down.length
        spare = self._pixels_in(_MOST_SPARE)
        with self._lock:
            fitting = [
                size
                for known, size in self._sizes
                if known == kind
                and size[0] >= width
                and size[1] >= height
                and size[0] * size[1] <= width * height + spare
            ]
            size = min(fitting, key=math.prod, default=(across.rounded, down.rounded))
            self._remember(kind, size)
        return size

    def _remember(self, kind: Kind, size: tuple[int, int]) -> None:
        self._sizes[kind, size] = None
        self._sizes.move_to_end((kind, size))
        if len(self._sizes) > _SIZES:
            self._sizes.popitem(last=False)

    def _axes(self, part: Rectangle) -> "tuple[_Axis, _Axis]":
        return (
            _Axis(part.left, part.right, self._width, self.margin),
            _Axis(part.top, part.bottom, self._height, self.margin),
        )

    def _cost(self, width: int, height: int, across: bool, down: bool) -> int:
        """The cost of a window of that size, which reaches no border ``across`` or ``down`` the plane."""
        return (width - across * self._saved) * (height - down * self._saved) + self.call

    def _cut(self, blocks: Blocks, left: int, top: int, depth: int) -> tuple[int, list[Rectangle]]:
        """Cost and parts for ``blocks``, whose first block is in column ``left`` and row ``top`` of the plane.

        The bounding box is cut in two where both halves together cost least, and each half again, as long as that costs
        less than no cut.
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
        across, down = self._axes(box)
        whole = self._cost(across.length, down.length, across.is_inside, down.is_inside), [box]
        if depth == 0 or blocks.mean() > _DENSE:
            return whole
        best, is_row, place = min(self._best_cut(blocks, left, top), self._best_cut(blocks.T, top, left, turned=True))
        if best >= whole[0]:
            return whole
        if is_row:
            first = self._cut(blocks[:place], left, top, depth - 1)
            second = self._cut(blocks[place:], left, top + place, depth - 1)
        else:
            first = self._cut(blocks[:, :place], left, top, depth - 1)
            second = self._cut(blocks[:, place:], left + place, top, depth - 1)
        cost = first[0] + second[0]
        return (cost, first[1] + second[1]) if cost < whole[0] else whole

    def _best_cut(self, blocks: Blocks, left: int, top: int, *, turned: bool = False) -> tuple[int, bool, int]:
        """The cheapest cut between rows: the cost of both sides, whether it is between rows of the plane, and the row.

        Args:
            blocks: What is wanted, without empty rows and columns at the edges.
            left: Column of the first block in the plane.
            top: Its row.
            turned: ``blocks`` is transposed, and so is the plane: ``left`` is a row then.
        """
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
        costs = np.full(count - 1, 2 * self.call)
        for begin, end, upper, lower in (
            (begins[0], ends[0], np.zeros_like(places), places),
            (begins[1], ends[1], places, np.full_like(places, count)),
        ):
            costs += self._lengths(begin + left, end + left, across) * self._lengths(upper + top, lower + top, along)
        place = int(costs.argmin())
        return int(costs[place]), not turned, place + 1

    def _lengths(self, begin: NDArray[np.int_], end: NDArray[np.int_], whole: int) -> NDArray[np.int_]:
        """`_Axis.length`, less what windows without borders save, for arrays of edges in blocks."""
        begin, end = begin * BLOCK, np.minimum(end * BLOCK, whole)
        is_inside = (begin >= self.margin) & (end + self.margin <= whole)
        lengths: NDArray[np.int_] = np.minimum(end + self.margin, whole) - np.maximum(begin - self.margin, 0)
        lengths -= is_inside * self._saved
        return lengths


@dataclass(frozen=True)
class _Axis:
    """One direction of a part: its edges, the length of the plane, and the margin, in pixels."""

    begin: int
    end: int
    whole: int
    margin: int

    @property
    def is_inside(self) -> bool:
        return self.margin <= self.begin and self.end + self.margin <= self.whole

    @property
    def length(self) -> int:
        """The least length of a window."""
        return min(self.end + self.margin, self.whole) - max(self.begin - self.margin, 0)

    @property
    def rounded(self) -> int:
        step = next(step for least, step in reversed(_STEPS) if self.length >= least)
        return min(-(-self.length // step) * step, self.whole)

    def placed(self, length: int) -> tuple[int, int, int, int]:
        """Edges of a window of that length, and its pixels before and after the part."""
        start = min(max(self.begin - self.margin, 0), self.whole - length)
        end = start + length
        if self.is_inside:
            return start, end, self.margin, self.margin
        return start, end, self.margin if start else 0, self.margin if end < self.whole else 0


def _placed(across: _Axis, down: _Axis, size: tuple[int, int]) -> Window:
    """A window of that width and height, which is large enough, in the plane."""
    left, right, before, after = across.placed(size[0])
    top, bottom, above, below = down.placed(size[1])
    return Window(Rectangle(left, top, right, bottom), Around(before, above, after, below))


def rectangles(blocks: Blocks, width: int, height: int) -> list[Rectangle]:
    """``blocks`` of a plane of that size as rectangles: runs of equal rows."""
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
    """``blocks``, and ``steps`` rows above and below each of them."""
    spread = blocks.copy()
    for step in range(1, min(steps, len(blocks) - 1) + 1):
        spread[step:] |= blocks[:-step]
        spread[:-step] |= blocks[step:]
    return spread
