"""The protocol of degradations: from a picture and a random generator to the network's input."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from train.degradations.resample import lanczos5

type Picture = NDArray[np.uint8]
"""8-bit samples: luma (H, W), or RGB (H, W, 3)."""


@dataclass(frozen=True)
class Degraded:
    """A degraded picture."""

    input: Picture
    """The network's input: a small picture, or one upscaled again.

    It shows the original cropped (right and bottom) to a multiple of the ratio: see :func:`covered`.
    """
    q: float | None = None
    """Compression level, 0 to 63; None if the degradation has none."""
    clean: Picture | None = None
    """The small picture before compression, as a further target."""
    ratio: int = 1
    """Size of the picture over that of ``input``; 1 if it was upscaled again."""


class Degradation(Protocol):
    """A degradation with its parameters. It can be pickled, for worker processes."""

    def __call__(self, picture: Picture, rng: np.random.Generator) -> Degraded:
        """Degrade ``picture``. All randomness comes from ``rng``.

        Raises:
            ValueError: The picture is too small.
        """


def covered(picture: Picture, degraded: Degraded) -> Picture:
    """The part of ``picture`` that ``degraded`` shows: the network's target."""
    height, width = (size * degraded.ratio for size in degraded.input.shape[:2])
    return picture[:height, :width]


class Shrink:
    """Base class of degradations that downscale a picture by ``ratio``, and optionally upscale it again.

    A subclass implements :meth:`shrink`; it may also compress the result.
    """

    def __init__(self, *, ratio: int | Sequence[int] = 2, enlarged: bool = False) -> None:
        """Set the ratio.

        Args:
            ratio: Size of a picture over that of the small one; if several are given, a random one of them.
            enlarged: Whether to upscale the small picture again by Lanczos-5, as in playback, for networks of scale 1.

        Raises:
            ValueError: A ratio is not a whole number of 1 or more, or several are given without ``enlarged``.
        """
        self.ratios = tuple(ratio) if isinstance(ratio, Sequence) else (ratio,)
        if not self.ratios or not all(isinstance(each, int) and each >= 1 for each in self.ratios):
            raise ValueError(f"ratio is a whole number of 1 or more, or a list of them, not {ratio!r}")
        if len(self.ratios) > 1 and not enlarged:
            raise ValueError(f"several ratios {list(self.ratios)} need enlarged = true: a network has one scale")
        self.enlarged = enlarged

    def __call__(self, picture: Picture, rng: np.random.Generator) -> Degraded:
        """Degrade ``picture``, cropped to a multiple of the ratio."""
        ratio = int(rng.choice(self.ratios)) if len(self.ratios) > 1 else self.ratios[0]
        height, width = (size // ratio * ratio for size in picture.shape[:2])
        if min(height, width) < 8 * ratio:
            raise ValueError(f"a picture of {picture.shape[1]}x{picture.shape[0]} is too small to shrink by {ratio}")
        clean = self.shrink(picture[:height, :width], ratio, rng)
        degraded = self.compress(clean, rng)
        if self.enlarged:
            return replace(degraded, input=lanczos5(degraded.input, height, width), clean=None)
        return replace(degraded, ratio=ratio)

    def shrink(self, picture: Picture, ratio: int, rng: np.random.Generator) -> Picture:
        """Downscale ``picture`` by exactly ``ratio``."""
        raise NotImplementedError

    def compress(self, small: Picture, rng: np.random.Generator) -> Degraded:
        """Compress the small picture; by default, do not change it."""
        return Degraded(small)
