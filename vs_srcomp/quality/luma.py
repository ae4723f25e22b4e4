"""Luma codes that can be compared, and PSNR from their squared error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import vapoursynth as vs

from vs_srcomp.backends.base import Luma
from vs_srcomp.colour_guess import assumed_colours
from vs_srcomp.quality.libvmaf import PIXEL_FORMATS

_RANGES = {True: "full", False: "limited"}
_BT601_OF_625, _BT601 = 5, 6


@dataclass(frozen=True)
class Comparable:
    """Clips whose luma codes mean the same."""

    clips: list[vs.VideoNode]
    """In the order in which they were given."""
    bits: int
    """Of their codes; a depth that libvmaf takes."""
    peak: int
    """Of PSNR, in codes."""


def comparable(clips: Sequence[vs.VideoNode]) -> Comparable:
    """``clips`` with luma codes that mean what those of the last one mean.

    The first frames count, untagged ones as players take them. In limited range, a deeper code is a multiple of one of
    8 bits, and so is the peak of 255; in full range, the largest codes are the same (ITU-T H.273, equations 20 to 33).
    So a picture has the same PSNR in any depth. Where values of one depth or range fall between codes of another, all
    get 16 bits.

    Args:
        clips: YUV or GRAY, integers of 8 to 16 bits.
    """
    meanings = [_meaning(clip) for clip in clips]
    full, matrix = meanings[-1]
    depths = {clip.format.bits_per_sample for clip in clips}
    has_matrix = all(clip.format.color_family == vs.YUV for clip in clips)
    is_exact = all(
        own_range == full and (own_matrix == matrix or not has_matrix) for own_range, own_matrix in meanings
    ) and (not full or len(depths) == 1)
    bits = min(depth for depth in PIXEL_FORMATS if depth >= max(depths)) if is_exact else 16
    converted = []
    for clip, (own_range, own_matrix) in zip(clips, meanings, strict=True):
        ranges = {"range_in_s": _RANGES[own_range], "range_s": _RANGES[full]}
        matrices = {"matrix_in": own_matrix, "matrix": matrix} if has_matrix and own_matrix != matrix else {}
        deep = clip.format.replace(bits_per_sample=bits)
        is_same = own_range == full and not matrices and deep.id == clip.format.id
        converted.append(clip if is_same else clip.resize.Bicubic(format=deep.id, **ranges, **matrices))
    return Comparable(converted, bits, (1 << bits) - 1 if full else 255 << (bits - 8))


def _meaning(clip: vs.VideoNode) -> tuple[bool, int]:
    """Whether codes have the full range, and the number of their matrix in ITU-T H.273; 5 and 6 are the same one."""
    with clip.get_frame(0) as frame:
        matrix = assumed_colours(frame.props, clip.width, clip.height).matrix
        return frame.props.get("_Range") == vs.RANGE_FULL, _BT601 if matrix == _BT601_OF_625 else matrix


def squared_error(ours: Luma, theirs: Luma) -> int:
    """The exact sum of squared differences."""
    difference = np.subtract(ours, theirs, dtype=np.int64)
    return int(np.vdot(difference, difference))


def psnr(squares: int, samples: int, peak: int) -> float:
    """PSNR in dB from a `squared_error` over so many samples; infinite for equal pictures."""
    return 10 * math.log10(peak**2 * samples / squares) if squares else math.inf
