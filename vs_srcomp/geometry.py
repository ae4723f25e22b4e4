"""Ratios, compression levels and picture sizes: the names that every part of the project shares."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final


@dataclass(frozen=True)
class Ratio:
    """A scale factor between the coded and the restored picture, the same for both axes."""

    name: str
    """As users write it: ``"2:1"``."""
    slug: str
    """As file names write it: ``"2by1"``."""
    factor: Fraction
    """Output size over input size, > 1."""


RATIOS: Final = tuple(
    Ratio(f"{high}:{low}", f"{high}by{low}", Fraction(high, low)) for high, low in ((2, 1), (8, 5), (4, 3))
)
"""The ratios that models exist for, largest first."""

QUANTIZERS: Final = (20, 30, 40, 50)
"""The compression levels of the original scheme, on libaom's quantizer scale of 0 to 63 (base_q_idx / 4): models are
measured at these, and engines that take minutes to build are built for these."""

MAX_QUANTIZER: Final = 63

SAME_SHAPE: Final = 0.01
"""Of the width over the height: a smaller change is rounding, and pixels keep their aspect ratio."""

_INDICES_PER_QUANTIZER: Final = 4


def ratio_by_name(name: str) -> Ratio:
    """The ratio called ``name`` ("2:1") or, in file names, "2by1"; ValueError names the ratios there are."""
    for ratio in RATIOS:
        if name in (ratio.name, ratio.slug):
            return ratio
    raise ValueError(f"no ratio is called {name!r}; there are {', '.join(ratio.name for ratio in RATIOS)}")


def nearest_ratio(factor: float | Fraction) -> Ratio:
    """The ratio whose factor is nearest to ``factor`` (> 0) on a logarithmic scale."""
    return min(RATIOS, key=lambda ratio: max(ratio.factor / Fraction(factor), Fraction(factor) / ratio.factor))


def nearest_quantizer(q: float) -> int:
    """The compression level, of `QUANTIZERS`, nearest to ``q`` (0..63); ties go to the stronger one."""
    return min(QUANTIZERS, key=lambda level: (abs(level - q), -level))


def quantizer_of_index(q_idx: float) -> float:
    """Q, on libaom's quantizer scale of 0 to 63, of an AV1 quantizer index (base_q_idx), 0 to 255."""
    return min(q_idx / _INDICES_PER_QUANTIZER, MAX_QUANTIZER)


def scaled_size(width: int, height: int, factor: Fraction, subsampling_w: int, subsampling_h: int) -> tuple[int, int]:
    """Scale a luma size, rounded to what the chroma subsampling can hold.

    Each axis goes to the nearest multiple of 2**subsampling, ties upwards, and never below one such multiple:
    854x480 4:2:0 at 8:5 (1366.4 x 768) becomes 1366x768.

    Args:
        width: Source width in luma pixels, >= 1.
        height: Source height in luma pixels, >= 1.
        factor: Output over input size, > 0.
        subsampling_w: log2 of the horizontal chroma subsampling, as VapourSynth gives it.
        subsampling_h: The same for the vertical axis.

    Returns:
        Width and height in luma pixels.
    """
    return _round_to_multiple(width * factor, 1 << subsampling_w), _round_to_multiple(
        height * factor, 1 << subsampling_h
    )


def _round_to_multiple(size: Fraction, multiple: int) -> int:
    return max(1, int(size / multiple + Fraction(1, 2))) * multiple
