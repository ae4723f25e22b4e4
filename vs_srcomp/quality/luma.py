"""Luma codes of frames in a common depth, and PSNR from their squared error."""

import math
from collections.abc import Iterable

import numpy as np
import vapoursynth as vs

from vs_srcomp.backends.base import Luma
from vs_srcomp.colour_guess import assumed_colours
from vs_srcomp.quality.libvmaf import PIXEL_FORMATS

_RANGES = {True: "full", False: "limited"}
_BT601_OF_625, _BT601 = 5, 6


def common_depth(clips: Iterable[vs.VideoNode]) -> int:
    """The smallest bit depth for all ``clips`` (integers of 8 to 16 bits) that libvmaf takes."""
    most = max(clip.format.bits_per_sample for clip in clips)
    return min(depth for depth in PIXEL_FORMATS if depth >= most)


def codes_of(frame: vs.VideoFrame, bits: int) -> Luma:
    """The luma plane of ``frame`` in ``bits`` bits; codes of a lower depth are multiplied."""
    plane: Luma = np.asarray(frame[0])
    shift = bits - frame.format.bits_per_sample
    return plane.astype(np.uint16) << shift if shift else plane


def in_codes_of(clip: vs.VideoNode, reference: vs.VideoNode) -> vs.VideoNode:
    """``clip`` with luma codes that mean what those of ``reference`` mean, in 16 bits where range or matrix differ.

    The first frames count, untagged ones as players take them.
    """
    (full, matrix), (theirs_full, theirs_matrix) = _meaning(clip), _meaning(reference)
    has_matrix = {clip.format.color_family, reference.format.color_family} == {vs.YUV}
    if full == theirs_full and (matrix == theirs_matrix or not has_matrix):
        return clip
    deep = clip.format.replace(sample_type=vs.INTEGER, bits_per_sample=16)
    ranges = {"range_in_s": _RANGES[full], "range_s": _RANGES[theirs_full]}
    matrices = {"matrix_in": matrix, "matrix": theirs_matrix} if has_matrix else {}
    return clip.resize.Bicubic(format=deep.id, **ranges, **matrices)


def _meaning(clip: vs.VideoNode) -> tuple[bool, int]:
    """Whether codes have the full range, and the number of their matrix in ITU-T H.273; 5 and 6 are the same one."""
    with clip.get_frame(0) as frame:
        matrix = assumed_colours(frame.props, clip.width, clip.height).matrix
        return frame.props.get("_Range") == vs.RANGE_FULL, _BT601 if matrix == _BT601_OF_625 else matrix


def squared_error(ours: Luma, theirs: Luma) -> int:
    """The exact sum of squared differences."""
    difference = np.subtract(ours, theirs, dtype=np.int64)
    return int(np.vdot(difference, difference))


def psnr(squares: int, samples: int, bits: int) -> float:
    """PSNR in dB from a `squared_error` over so many samples of ``bits`` bits; infinite for equal pictures.

    The peak is ``255 * 2**(bits - 8)``, so that a picture has the same PSNR in any depth.
    """
    peak = 255 << (bits - 8)
    return 10 * math.log10(peak**2 * samples / squares) if squares else math.inf
