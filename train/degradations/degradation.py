"""What a degradation is: a picture and randomness in, what the network gets out."""

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
    """What has become of a picture."""

    input: Picture
    """What the network gets: small, or small and enlarged again.

    It shows the picture without what is beyond a multiple of the ratio, right and bottom: :func:`covered` cuts that.
    """
    q: float | None = None
    """Compression level, 0 to 63, where the degradation has one."""
    clean: Picture | None = None
    """The small picture before it was compressed, for networks that learn to make that too."""
    ratio: int = 1
    """Of the picture's size to that of ``input``; 1 if it was enlarged again."""


class Degradation(Protocol):
    """A degradation with its parameters. Can be pickled, so that worker processes can use it."""

    def __call__(self, picture: Picture, rng: np.random.Generator) -> Degraded:
        """Degrade ``picture``; what is random comes from ``rng`` alone.

        Raises:
            ValueError: The picture is too small.
        """


def covered(picture: Picture, degraded: Degraded) -> Picture:
    """The part of ``picture`` that ``degraded`` shows: what a network is to give back."""
    height, width = (size * degraded.ratio for size in degraded.input.shape[:2])
    return picture[:height, :width]


class Shrink:
    """Base of degradations that make a picture ``ratio`` times smaller, and maybe enlarge it again.

    A subclass says how in :meth:`shrink`; it may compress what it has made.
    """

    def __init__(self, *, ratio: int | Sequence[int] = 2, enlarged: bool = False) -> None:
        """Note how small pictures become.

        Args:
            ratio: Of a picture's size to the small one's; one of several at random, if several are given.
            enlarged: Whether the small picture is enlarged to the old size again, by Lanczos-5 as playback does it:
                what networks get that work on the enlarged picture.

        Raises:
            ValueError: A ratio is not a whole number of 1 or more; or several are given, but the network would get
                pictures of several scales.
        """
        self.ratios = tuple(ratio) if isinstance(ratio, Sequence) else (ratio,)
        if not self.ratios or not all(isinstance(each, int) and each >= 1 for each in self.ratios):
            raise ValueError(f"ratio is a whole number of 1 or more, or a list of them, not {ratio!r}")
        if len(self.ratios) > 1 and not enlarged:
            raise ValueError(f"several ratios {list(self.ratios)} need enlarged = true: a network has one scale")
        self.enlarged = enlarged

    def __call__(self, picture: Picture, rng: np.random.Generator) -> Degraded:
        """Degrade ``picture``, cut to a multiple of the ratio."""
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
        """``picture`` made exactly ``ratio`` times smaller."""
        raise NotImplementedError

    def compress(self, small: Picture, rng: np.random.Generator) -> Degraded:
        """What a codec makes of the small picture; nothing, if there is none."""
        return Degraded(small)
