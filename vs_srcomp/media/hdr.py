"""HDR metadata in the formats of encoders, and what outputs cannot hold of it."""

from collections.abc import Callable

from vs_srcomp.media.containers import ContainerKind
from vs_srcomp.media.picture import Mastering, Picture

# Of a half that is unknown: zeros are outside of the ranges of ITU-T H.264 and H.265, D.3.28, and mean just that.
_NO_PRIMARIES, _NO_LUMINANCE = ((0.0, 0.0),) * 4, (0.0, 0.0)

# Codecs whose streams can state a half: AV1 has no value for what is unknown, and FFV1 none of it at all.
_STATING_HALVES = ("h264", "hevc")


def mastering_in_decimals(picture: Picture) -> str | None:
    """The mastering display in SVT-AV1's format; None if unknown, or known by half, which SVT-AV1 ignores."""
    if picture.mastering is None or not picture.mastering.is_whole:
        return None
    return _mastering(picture.mastering, "{:.6f}".format, "{:.4f}".format, "{:.6f}".format)


def mastering_in_units(picture: Picture) -> str | None:
    """The same for x264 and x265, in units of 0.00002 and of 0.0001 cd/m² (ITU-T H.265, D.3.28); 0 where unknown."""
    if picture.mastering is None:
        return None

    def light(value: float) -> str:
        return str(round(value * 10_000))

    return _mastering(picture.mastering, lambda value: str(round(value * 50_000)), light, light)


def content_light(picture: Picture) -> str | None:
    """MaxCLL and MaxFALL in cd/m²; None if unknown."""
    return "{},{}".format(*picture.content_light) if picture.content_light else None


def mastering_loss(mastering: Mastering | None, codec: str, kind: ContainerKind) -> str | None:
    """Why neither the stream nor the container can hold ``mastering``, in one line; None if one of them can.

    Args:
        mastering: The mastering display of the source.
        codec: FFmpeg's name of what the encoder makes; empty for a program's, which is not told of it.
        kind: Container of the output.
    """
    if mastering is None or mastering.is_whole or kind.half_mastering or codec in _STATING_HALVES:
        return None
    known, unknown = ("primaries", "luminance") if mastering.primaries else ("luminance", "primaries")
    return (
        f"the mastering display is left out: the source has its {known} without its {unknown}, which neither the "
        f"encoder nor {kind.suffix} files can hold"
    )


def _mastering(
    mastering: Mastering, point: Callable[[float], str], highest: Callable[[float], str], lowest: Callable[[float], str]
) -> str:
    red, green, blue, white = mastering.primaries or _NO_PRIMARIES
    low, high = mastering.luminance or _NO_LUMINANCE
    points = zip(("G", "B", "R", "WP"), (green, blue, red, white), strict=True)
    places = "".join(f"{name}({point(x)},{point(y)})" for name, (x, y) in points)
    return f"{places}L({highest(high)},{lowest(low)})"
