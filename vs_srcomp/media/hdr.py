"""HDR metadata in the formats of encoders."""

from collections.abc import Callable

from vs_srcomp.media.picture import Picture


def mastering_in_decimals(picture: Picture) -> str | None:
    """The mastering display in SVT-AV1's format; None if unknown."""
    return _mastering(picture, "{:.6f}".format, "{:.4f}".format, "{:.6f}".format)


def mastering_in_units(picture: Picture) -> str | None:
    """The same for x264 and x265, in units of 0.00002 and of 0.0001 cd/m² (ITU-T H.265, D.3.28)."""

    def light(value: float) -> str:
        return str(round(value * 10_000))

    return _mastering(picture, lambda value: str(round(value * 50_000)), light, light)


def content_light(picture: Picture) -> str | None:
    """MaxCLL and MaxFALL in cd/m²; None if unknown."""
    return "{},{}".format(*picture.content_light) if picture.content_light else None


def _mastering(
    picture: Picture, point: Callable[[float], str], highest: Callable[[float], str], lowest: Callable[[float], str]
) -> str | None:
    mastering = picture.mastering
    if mastering is None or not mastering.primaries:
        return None
    red, green, blue, white = mastering.primaries
    low, high = mastering.luminance or (0.0, 0.0)
    points = zip(("G", "B", "R", "WP"), (green, blue, red, white), strict=True)
    places = "".join(f"{name}({point(x)},{point(y)})" for name, (x, y) in points)
    return f"{places}L({highest(high)},{lowest(low)})"
