"""Luma codes of frames in a common depth, and PSNR from their squared error."""

import math
from collections.abc import Iterable

import numpy as np
import vapoursynth as vs

from vs_srcomp.backends.base import Luma
from vs_srcomp.quality.libvmaf import PIXEL_FORMATS


def common_depth(clips: Iterable[vs.VideoNode]) -> int:
    """The smallest bit depth for all ``clips`` (integers of 8 to 16 bits) that libvmaf takes."""
    most = max(clip.format.bits_per_sample for clip in clips)
    return min(depth for depth in PIXEL_FORMATS if depth >= most)


def codes_of(frame: vs.VideoFrame, bits: int) -> Luma:
    """The luma plane of ``frame`` in ``bits`` bits; codes of a lower depth are multiplied."""
    plane: Luma = np.asarray(frame[0])
    shift = bits - frame.format.bits_per_sample
    return plane.astype(np.uint16) << shift if shift else plane


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
