"""Of which sizes windows are: each one needs a compiled network of its own, which must pay for itself first."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vs_srcomp.backends.base import Engine
from vs_srcomp.reuse.windows import CALL, Rectangle, Windows

MOST_SIZES = 8
"""That are kept compiled at the same time, besides that of the whole plane."""

MOST_PLANES = 2
"""Whole planes that have as many pixels as windows of all those sizes: what their networks take of memory follows."""

# Lengths of windows rise by about this much.
_RATIO = 1.16
_SHORTEST = 64
_GRID = 16

# What compiling takes is not known before the first time, in seconds.
_COMPILE_SECONDS = 0.3


@dataclass(frozen=True)
class Fitted:
    """A part to compute, and the engine for its window."""

    part: Rectangle
    window: Rectangle
    engine: Engine


class Sizes:
    """The compiled sizes of one network and plane.

    Each frame tells what one more size would have saved. The size that would have saved the most is compiled when that
    is as much as compiling costs: so at worst twice is spent what the best choice would have cost.
    """

    def __init__(self, width: int, height: int, windows: Windows, make: Callable[[int, int], Engine]) -> None:
        """Compile with ``make``, which takes width and height of a window, for planes of a size in pixels."""
        self._windows = windows
        self._make = make
        self._plane = width * height
        widths, heights = _lengths(width), _lengths(height)
        self._widths, self._heights = np.meshgrid(widths, heights)
        self._costs = self._widths * self._heights + CALL
        # What is nearly a whole plane saves nothing.
        self._is_useful = self._costs <= 0.85 * self._plane
        self._saved = np.zeros(self._costs.shape)
        self._engines: dict[tuple[int, int], Engine] = {}
        self._lock = threading.Lock()
        self._is_busy = False
        self._pixel_seconds = 0.0
        self._compile_seconds = _COMPILE_SECONDS
        self._price = 1.0

    def took(self, seconds: float) -> None:
        """Learn from the time that a whole plane took."""
        each = seconds / self._plane
        self._pixel_seconds = min(self._pixel_seconds or each, each)

    def fit(self, parts: Sequence[Rectangle]) -> list[Fitted] | None:
        """The windows for ``parts``; None where the whole plane costs less than those whose sizes are compiled."""
        needed = [self._windows.needed(part) for part in parts]
        with self._lock:
            chosen = [self._smallest(width, height) for width, height in needed]
            costs = [self._plane if size is None else size[0] * size[1] + CALL for size in chosen]
            self._save(needed, costs)
            if sum(costs) >= self._plane:
                return None
            fitted = []
            for part, size in zip(parts, chosen, strict=True):
                assert size is not None
                engine = self._engines.pop(size)
                self._engines[size] = engine  # The last one to be given up.
                fitted.append(Fitted(part, self._windows.window(part, size), engine))
            return fitted

    def compile_due(self) -> tuple[tuple[int, int], Engine] | None:
        """A new size and its engine, if one has become worth it; for `add`. Others go on in the meantime."""
        with self._lock:
            best = np.unravel_index(int(self._saved.argmax()), self._saved.shape)
            price = self._price * self._compile_seconds
            if self._is_busy or not self._pixel_seconds or self._saved[best] * self._pixel_seconds < price:
                return None
            self._is_busy = True
            size = int(self._widths[best]), int(self._heights[best])
        try:
            return size, self._make(*size)
        finally:
            with self._lock:
                self._is_busy = False
                self._saved[:] = 0

    def add(self, size: tuple[int, int], engine: Engine, seconds: float) -> None:
        """Use ``engine`` from now on, which took so long to make."""
        with self._lock:
            self._compile_seconds = seconds
            self._engines[size] = engine
            while len(self._engines) > MOST_SIZES or self._held() > MOST_PLANES * self._plane:
                del self._engines[next(iter(self._engines))]
                # A clip that needs ever new sizes would be compiled for again and again.
                self._price *= 2

    def _held(self) -> int:
        return sum(width * height for width, height in self._engines)

    def _smallest(self, width: int, height: int) -> tuple[int, int] | None:
        fitting = [size for size in self._engines if size[0] >= width and size[1] >= height]
        return min(fitting, key=lambda size: size[0] * size[1], default=None)

    def _save(self, needed: Sequence[tuple[int, int]], costs: Sequence[int]) -> None:
        """Count what each size would have saved of ``costs``, if the other windows had the best sizes there can be."""
        fits = [self._is_useful & (self._widths >= width) & (self._heights >= height) for width, height in needed]
        best = [
            min(cost, int(self._costs[each].min(initial=self._plane))) for each, cost in zip(fits, costs, strict=True)
        ]
        now, total = min(sum(costs), self._plane), sum(best)
        if total >= now:
            return
        for each, own, cost in zip(fits, best, costs, strict=True):
            if cost > own:
                saved = np.maximum(now - (total - own + self._costs[each]), 0)
                self._saved[each] += saved / len(needed)


def _lengths(whole: int) -> NDArray[np.int_]:
    """Of windows along an axis, the last one that of the plane."""
    lengths = []
    length = float(_SHORTEST)
    while length < 0.95 * whole:
        rounded = round(length / _GRID) * _GRID
        if rounded < whole and rounded not in lengths:
            lengths.append(rounded)
        length *= _RATIO
    return np.array([*lengths, whole])
