"""From RGB to what is upscaled and back, such that nothing but luma changes.

RGB goes through YUV 4:4:4 of 16 bits, whose rounding is below what 8 bits can show: without a network, every colour of
8 bits comes back as it was. The matrix and range are those that the networks saw pictures in (train/material).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vs_srcomp.stills.picture import Plane


def clip_of(planes: Sequence[Plane], kind: int, props: Mapping[str, Any]) -> vs.VideoNode:
    """A clip of one frame.

    Args:
        planes: Height x width each, in the size and type that the format has.
        kind: VapourSynth's number of the format.
        props: Of the frame.
    """
    height, width = planes[0].shape
    blank = vs.core.std.BlankClip(width=width, height=height, format=kind, length=1)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        filled = f.copy()
        for number, plane in enumerate(planes):
            np.copyto(np.asarray(filled[number]), plane)
        return filled

    clip = blank.std.ModifyFrame(blank, fill)
    return clip.std.RemoveFrameProps(["_DurationNum", "_DurationDen"]).std.SetFrameProps(**props)


def planes_of(frame: vs.VideoFrame) -> list[NDArray[Any]]:
    """The planes of ``frame``, which must stay alive while they are used."""
    return [np.asarray(frame[number]) for number in range(frame.format.num_planes)]


def rgb_to_yuv(rgb: vs.VideoNode) -> vs.VideoNode:
    """Full-range RGB as YUV444P16, BT.709 in limited range."""
    return rgb.resize.Point(format=vs.YUV444P16, matrix_s="709", range_s="limited")


def to_rgb(yuv: vs.VideoNode, bits: int) -> vs.VideoNode:
    """Full-range RGB of 8 or 16 bits, by the matrix and range of the frame; chroma gets its size by Bicubic."""
    return yuv.resize.Bicubic(format=vs.RGB24 if bits == 8 else vs.RGB48, range_s="full")


def to_gray(gray: vs.VideoNode, bits: int) -> vs.VideoNode:
    """Full-range grey of 8 or 16 bits."""
    return gray.resize.Point(format=vs.GRAY8 if bits == 8 else vs.GRAY16, range_s="full")


def to_bits(plane: Plane, bits: int) -> Plane:
    """``plane`` in 8 or 16 bits."""
    if bits == 8 and plane.dtype == np.uint16:
        return ((plane.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if bits == 16 and plane.dtype == np.uint8:
        return plane.astype(np.uint16) * np.uint16(257)
    return plane
