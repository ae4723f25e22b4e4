"""Conversion of pictures for display."""

import vapoursynth as vs

from vs_srcomp.colour_guess import assumed_colours
from vs_srcomp.stills.picture import HDR_TRANSFERS


def to_rgb(clip: vs.VideoNode) -> vs.VideoNode:
    """``clip``, YUV or GRAY, as 8-bit RGB, by the tags of its first frame or, if it is untagged, as players assume.

    Only matrix and range are converted. PQ and HLG are not tone-mapped.
    """
    with clip.get_frame(0) as frame:
        matrix = assumed_colours(frame.props, clip.width, clip.height).matrix
    rgb = clip.resize.Bicubic(format=vs.RGB24, matrix_in=matrix)
    # Metrics on RGB take the samples for sRGB, as displays do.
    return rgb.std.SetFrameProps(_Transfer=13, _Primaries=1)


def is_hdr(clip: vs.VideoNode) -> bool:
    """Whether the first frame is tagged as PQ or HLG."""
    with clip.get_frame(0) as frame:
        return frame.props.get("_Transfer") in HDR_TRANSFERS
