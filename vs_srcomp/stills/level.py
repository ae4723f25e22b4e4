"""How strongly a picture was compressed, on the scale of AV1's quantizers, which the networks take.

AVIF has it: base_q_idx in the headers of its AV1 items (see `vs_srcomp.source`). JPEG and WebP have quantizers
of another kind. For each of theirs, the table here has the level at which the network ``fast`` restored photographs
best, in Y-PSNR, that had been made half as large and coded so (benchmarks/still_levels.py, docs/stills.md).
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vs_srcomp.stills.vp8 import quantizer_index

if TYPE_CHECKING:
    from PIL import Image

# Libjpeg's luma table at quality 50 (ISO/IEC 10918-1, table K.1), row by row, as far as it counts: the 21 lowest
# frequencies. Most of the others are 0 after any quantizer.
_LOWEST: Final = tuple((row, column) for row in range(6) for column in range(6 - row))
_STANDARD: Final = (
    (16, 11, 10, 16, 24, 40),
    (12, 12, 14, 19, 26),
    (14, 13, 16, 24),
    (14, 17, 22),
    (18, 22),
    (24,),
)

# Percent of the standard table (200 is libjpeg's quality 25, 100 is 50, 50 is 75, 20 is 90), and the level.
_JPEG: Final = ((6.0, 12.0), (16.7, 24.4), (30.2, 33.3), (50.5, 39.2), (100.0, 46.0), (200.0, 51.2), (500.0, 57.0))

# VP8's quantizer index, and the level (libwebp's quality 95 to 5).
_WEBP: Final = ((3.8, 12.0), (13.3, 21.1), (24.8, 29.2), (36.9, 35.3), (49.9, 40.1), (81.6, 48.5))


def level_of(image: "Image.Image", file: Path) -> float | None:
    """The level, 0 to 63 on libaom's quantizer scale; None where the file does not have it, or is without loss.

    Args:
        image: As Pillow has opened it.
        file: Where it came from.
    """
    if image.format in ("JPEG", "MPO"):
        return _between(_JPEG, jpeg_scale(image))
    if image.format == "WEBP":
        index = quantizer_index(file)
        return None if index is None else _between(_WEBP, index)
    return None


def jpeg_scale(image: "Image.Image") -> float:
    """How coarse the luma quantizer of a JPEG file is, in percent of libjpeg's at quality 50."""
    number = image.layer[0][3]  # type: ignore[attr-defined]
    table = image.quantization[number]  # type: ignore[attr-defined]
    steps = sum(table[8 * row + column] for row, column in _LOWEST)
    return float(100 * steps / sum(map(sum, _STANDARD)))


def _between(points: Sequence[tuple[float, float]], at: float) -> float:
    """The value at ``at``, on straight lines between ``points``."""
    if at <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return points[-1][1]
