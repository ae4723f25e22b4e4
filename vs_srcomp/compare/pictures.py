"""The pictures of a report: lossless crops where the candidates differ most, in a limited number of bytes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image

from vs_srcomp.compare.choice import Chosen
from vs_srcomp.compare.colours import to_rgb
from vs_srcomp.compare.inputs import Side
from vs_srcomp.compare.scores import Progress
from vs_srcomp.memory import give_back_free_memory

type Rgb = NDArray[np.uint8]
"""Height x width x 3."""

LARGEST_CROP = 720, 540
SMALLEST_SIDE = 96
OVERVIEW_SIDE = 480
"""Of the picture of a whole frame, at most."""

_FEW = 3

# Differences of two decoded pictures along the block grid are at most this wide.
_STEP = 8


@dataclass(frozen=True)
class Shown:
    """The pictures of one frame."""

    chosen: Chosen
    left: int
    """Position of the crop in the frame, in pixels."""
    top: int
    width: int
    height: int
    crops: tuple[bytes, ...]
    """Lossless WebP, one for each side."""
    overview: bytes
    """The whole frame of the last side, downscaled, as lossy WebP."""


def draw(
    sides: Sequence[Side], candidates: int, chosen: Sequence[Chosen], largest: int, progress: Progress
) -> list[Shown]:
    """The pictures of all frames ``chosen``.

    Args:
        sides: The candidates, then the reference if there is one.
        candidates: Number of candidates. Crops are where these differ most from one another, or where the only one
            differs from the reference.
        chosen: The frames.
        largest: Limit for all pictures together, in bytes.
        progress: See `Progress`.
    """
    clips = [to_rgb(side.clip) for side in sides]
    drafts = []
    for done, each in enumerate(chosen, 1):
        drafts.append(_Draft.of(each, [pixels(clip, each.number) for clip in clips], candidates))
        give_back_free_memory()
        progress("taking pictures", done, len(chosen))
    # A few frames suffice to estimate the size, in a fraction of the time.
    few = drafts[:: max(1, len(drafts) // _FEW)]
    size, _ = _within(few, (drafts[0].width, drafts[0].height), largest * len(few) // len(drafts), progress)
    return _within(drafts, size, largest, progress)[1]


def _within(
    drafts: "Sequence[_Draft]", size: tuple[int, int], largest: int, progress: Progress
) -> tuple[tuple[int, int], list[Shown]]:
    """Width and height of crops, at most ``size``, and the pictures, together at most ``largest`` bytes."""
    while True:
        shown = []
        for draft in drafts:
            shown.append(draft.shown(*size))
            progress("compressing pictures", len(shown), len(drafts))
        found = sum(len(each.overview) + sum(map(len, each.crops)) for each in shown)
        if found <= largest or min(size) <= SMALLEST_SIDE:
            return size, shown
        # The most different part of a crop has more detail than the rest.
        shrink = min(0.95, 0.96 * sqrt(largest / found))
        size = max(SMALLEST_SIDE, int(size[0] * shrink)), max(SMALLEST_SIDE, int(size[1] * shrink))


@dataclass(frozen=True)
class _Draft:
    """The largest crop of a frame, which can be cut down."""

    chosen: Chosen
    left: int
    top: int
    crops: list[Rgb]
    overview: bytes
    candidates: int

    @classmethod
    def of(cls, chosen: Chosen, pictures: Sequence[Rgb], candidates: int) -> "_Draft":
        height, width, _ = pictures[0].shape
        size = min(LARGEST_CROP[0], width), min(LARGEST_CROP[1], height)
        left, top = most_different(pictures, candidates, *size)
        crops = [picture[top : top + size[1], left : left + size[0]].copy() for picture in pictures]
        return cls(chosen, left, top, crops, _overview(pictures[-1]), candidates)

    @property
    def width(self) -> int:
        return int(self.crops[0].shape[1])

    @property
    def height(self) -> int:
        return int(self.crops[0].shape[0])

    def shown(self, width: int, height: int) -> Shown:
        width, height = min(width, self.width), min(height, self.height)
        left, top = most_different(self.crops, self.candidates, width, height)
        parts = tuple(lossless(crop[top : top + height, left : left + width]) for crop in self.crops)
        return Shown(self.chosen, self.left + left, self.top + top, width, height, parts, self.overview)


def most_different(pictures: Sequence[Rgb], candidates: int, width: int, height: int) -> tuple[int, int]:
    """Left and top of the part of ``width`` x ``height`` pixels where the pictures differ most, on the mean."""
    compared = pictures[:candidates] if candidates > 1 else pictures
    lumas = [picture.mean(axis=2) for picture in compared]
    spread = np.maximum.reduce(lumas) - np.minimum.reduce(lumas)
    sums = np.pad(spread.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    tops, lefts = (
        np.unique([*range(0, whole - part + 1, _STEP), whole - part])
        for whole, part in zip(spread.shape, (height, width), strict=True)
    )
    totals = (
        sums[np.ix_(tops + height, lefts + width)]
        - sums[np.ix_(tops, lefts + width)]
        - sums[np.ix_(tops + height, lefts)]
        + sums[np.ix_(tops, lefts)]
    )
    row, column = np.unravel_index(int(totals.argmax()), totals.shape)
    return int(lefts[column]), int(tops[row])


def lossless(picture: Rgb) -> bytes:
    """``picture`` as WebP."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "WEBP", lossless=True, quality=30, method=3)
    return data.getvalue()


def _overview(picture: Rgb) -> bytes:
    image = Image.fromarray(picture)
    image.thumbnail((OVERVIEW_SIDE, OVERVIEW_SIDE), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "WEBP", quality=70, method=4)
    return data.getvalue()


def pixels(rgb: vs.VideoNode, number: int) -> Rgb:
    """A frame of an RGB24 clip."""
    with rgb.get_frame(number) as frame:
        return np.stack([np.asarray(plane) for plane in frame], axis=-1)
