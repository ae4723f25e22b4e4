"""Pictures as screens show them."""

import vapoursynth as vs

from vs_srcomp.colour_guess import assumed_colours

_PQ, _HLG = 16, 18


def to_rgb(clip: vs.VideoNode) -> vs.VideoNode:
    """``clip``, YUV or GRAY, in RGB of 8 bits by the tags of its first frame, or what players take it for.

    Nothing but the matrix and the range is applied: PQ and HLG stay as they are coded, without tone mapping.
    """
    with clip.get_frame(0) as frame:
        matrix = assumed_colours(frame.props, clip.width, clip.height).matrix
    rgb = clip.resize.Bicubic(format=vs.RGB24, matrix_in=matrix)
    # What is measured in RGB takes the samples for sRGB, as screens do.
    return rgb.std.SetFrameProps(_Transfer=13, _Primaries=1)


def is_hdr(clip: vs.VideoNode) -> bool:
    """Whether the first frame is tagged as PQ or HLG."""
    with clip.get_frame(0) as frame:
        return frame.props.get("_Transfer") in (_PQ, _HLG)
