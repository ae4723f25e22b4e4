"""Guessed colours of untagged video, which depend on the size of the picture.

Players take untagged SD video for BT.601 and HD video for BT.709. Upscaling takes SD video across that line, so the
output is tagged as what the input would have been taken for; otherwise its colours would shift by more than anything
that the network does.

The rule is that of mpv and libplacebo (``mp_image_params_guess_csp``, ``pl_color_system_guess_ycbcr`` and
``pl_color_primaries_guess``). There, range, chroma location and transfer do not depend on the size, so they are not
changed. Numbers are those of ITU-T H.273.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import vapoursynth as vs

from vs_srcomp.log import log_once

_UNSPECIFIED = 2
_BT709 = 1
_BT601_625 = 5
_BT601_525 = 6
_BT2020 = 9
_BT2020_MATRICES = (9, 10)

_NAMES = {
    (_BT601_525, _BT709): "BT.601 with primaries of BT.709",
    (_BT601_525, _BT601_625): "BT.601 of 625 lines",
    (_BT601_525, _BT601_525): "BT.601 of 525 lines",
    (_BT709, _BT709): "BT.709",
}


class Colours(NamedTuple):
    """Matrix and primaries."""

    matrix: int
    """6 for BT.601, which has the same matrix for 525 and 625 lines."""
    primaries: int


def assumed_colours(props: Mapping[str, Any], width: int, height: int) -> Colours:
    """The colours that players assume.

    Args:
        props: Properties of the frame; ``_Matrix`` and ``_Primaries`` count if they are set and not 2, unspecified.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
    """
    matrix, primaries = props.get("_Matrix", _UNSPECIFIED), props.get("_Primaries", _UNSPECIFIED)
    hd = width >= 1280 or height > 576
    if matrix == _UNSPECIFIED:
        matrix = _BT709 if hd else _BT601_525
    if primaries == _UNSPECIFIED:
        if matrix in _BT2020_MATRICES:
            primaries = _BT2020
        elif matrix == _BT709 or hd:
            primaries = _BT709
        else:
            # For other heights, BT.709 is the best guess.
            primaries = {576: _BT601_625, 480: _BT601_525, 486: _BT601_525}.get(height, _BT709)
    return Colours(matrix, primaries)


def tags_to_keep(props: Mapping[str, Any], size: tuple[int, int], new_size: tuple[int, int]) -> dict[str, int]:
    """The properties that a picture needs in its new size to keep its colours.

    Args:
        props: Properties of the frame, which take precedence.
        size: Old width and height in pixels.
        new_size: New width and height in pixels.

    Returns:
        Empty if players assume the same for both sizes.
    """
    before = assumed_colours(props, *size)
    if before == assumed_colours(props, *new_size):
        return {}
    wanted = {"_Matrix": before.matrix, "_Primaries": before.primaries}
    return {name: value for name, value in wanted.items() if props.get(name, _UNSPECIFIED) == _UNSPECIFIED}


def keep_assumed_colours(clip: vs.VideoNode, width: int, height: int) -> vs.VideoNode:
    """``clip`` with tags on frames for which players would assume other colours than in the old size.

    The log states it once. Frames from mpv are not changed, because mpv has decided before its filters.

    Args:
        clip: A clip of constant format and size, with the frame properties of the old size.
        width: Old width in pixels.
        height: Old height in pixels.
    """
    size, new_size = (width, height), (clip.width, clip.height)
    # All combinations of tagged and untagged.
    cases = ({"_Matrix": matrix, "_Primaries": primaries} for matrix in (2, 6) for primaries in (2, 1))
    if clip.format.color_family != vs.YUV or not any(tags_to_keep(case, size, new_size) for case in cases):
        return clip

    def tagged(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        tags = {} if "_ColorSpace" in f.props else tags_to_keep(f.props, size, new_size)
        if not tags:
            return f
        before, after = (assumed_colours(f.props, *each) for each in (size, new_size))
        log_once(
            f"the colours are not tagged: players take {width}x{height} for {_name(before)}, "
            f"but would take {clip.width}x{clip.height} for {_name(after)}; "
            "the output is tagged as what it was taken for"
        )
        out = f.copy()
        for name, value in tags.items():
            out.props[name] = value
        return out

    return clip.std.ModifyFrame(clip, tagged)


def _name(colours: Colours) -> str:
    return _NAMES.get(colours, f"matrix {colours.matrix} with primaries {colours.primaries}")
