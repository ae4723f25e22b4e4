"""Video format and metadata, from frame properties."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import vapoursynth as vs
from av.video.codeccontext import VideoCodecContext

# ITU-T H.273
_UNSPECIFIED = 2

# FFmpeg's AVColorRange
_RANGES = {vs.RANGE_LIMITED: 1, vs.RANGE_FULL: 2}


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Colour tags in FFmpeg's numbers; the first three are those of ITU-T H.273."""

    matrix: int
    primaries: int
    transfer: int
    range: int
    """1 limited, 2 full, 0 unknown."""
    chroma_location: int
    """1 left, 2 centre, 3 top left, ...; 0 unknown."""

    @classmethod
    def of(cls, context: VideoCodecContext) -> Self:
        """The tags of a codec context."""
        return cls(
            matrix=context.colorspace,
            primaries=context.color_primaries,
            transfer=context.color_trc,
            range=context.color_range,
            chroma_location=context.chroma_sample_location,
        )

    @property
    def is_tagged(self) -> bool:
        """Whether anything but the location of chroma is known."""
        return bool(self.range) or {self.matrix, self.primaries, self.transfer} != {_UNSPECIFIED}

    def apply(self, context: VideoCodecContext) -> None:
        """Set the tags of a codec context."""
        context.colorspace = self.matrix
        context.color_primaries = self.primaries
        context.color_trc = self.transfer
        context.color_range = self.range
        context.chroma_sample_location = self.chroma_location


@dataclass(frozen=True, kw_only=True)
class Mastering:
    """Mastering display (SMPTE ST 2086). Either half may be unknown."""

    primaries: tuple[tuple[float, float], ...] = ()
    """CIE 1931 x and y of red, green, blue and white; empty if unknown."""
    luminance: tuple[float, float] | None = None
    """Lowest and highest luminance in cd/m²."""

    @classmethod
    def of(cls, props: Mapping[str, Any]) -> Self | None:
        """That of a decoded frame with ``props``; None if unknown."""
        primaries: tuple[tuple[float, float], ...] = ()
        if "MasteringDisplayPrimariesX" in props:
            x, y = (
                [*props[f"MasteringDisplayPrimaries{axis}"], props[f"MasteringDisplayWhitePoint{axis}"]]
                for axis in "XY"
            )
            primaries = tuple(zip(x, y, strict=True))
        luminance = None
        if "MasteringDisplayMaxLuminance" in props:
            luminance = props["MasteringDisplayMinLuminance"], props["MasteringDisplayMaxLuminance"]
        return cls(primaries=primaries, luminance=luminance) if primaries or luminance else None

    @property
    def is_whole(self) -> bool:
        """Whether both halves are known."""
        return bool(self.primaries and self.luminance)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Properties of a video stream."""

    width: int
    height: int
    bits: int
    """Bits per sample."""
    subsampling: tuple[int, int] = (1, 1)
    """log2 of the horizontal and vertical subsampling of chroma."""
    colour: Colour
    sample_aspect_ratio: Fraction
    """Pixel aspect ratio, width to height."""
    mastering: Mastering | None = None
    content_light: tuple[int, int] | None = None
    """MaxCLL and MaxFALL in cd/m² (CTA-861.3)."""

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the pixel format."""
        planes = {(1, 1): "yuv420p", (1, 0): "yuv422p", (0, 0): "yuv444p"}[self.subsampling]
        return planes if self.bits == 8 else f"{planes}{self.bits}le"


@dataclass(frozen=True, kw_only=True)
class EncodedStream:
    """What containers store about an encoded stream."""

    codec: str
    """FFmpeg's name of it."""
    header: bytes
    """The sequence header or parameter sets, for the container's header."""
    pixel_format: str
    """FFmpeg's name of it."""


def describe_picture(clip: vs.VideoNode, source: Mapping[str, Any], output: Mapping[str, Any]) -> Picture:
    """Describe the clip to encode.

    Args:
        clip: An integer YUV clip.
        source: Properties of the first decoded frame.
        output: Properties of the first frame of ``clip``, with its colour tags; unknown ones are not set.
    """
    maximum, average = (int(source.get(f"ContentLightLevel{name}", 0)) for name in ("Max", "Average"))
    return Picture(
        width=clip.width,
        height=clip.height,
        bits=clip.format.bits_per_sample,
        subsampling=(clip.format.subsampling_w, clip.format.subsampling_h),
        colour=_colour(output),
        sample_aspect_ratio=Fraction(output.get("_SARNum", 1), output.get("_SARDen", 1) or 1) or Fraction(1),
        mastering=Mastering.of(source),
        content_light=(maximum, average) if maximum or average else None,
    )


def _colour(props: Mapping[str, Any]) -> Colour:
    return Colour(
        matrix=int(props.get("_Matrix", _UNSPECIFIED)),
        primaries=int(props.get("_Primaries", _UNSPECIFIED)),
        transfer=int(props.get("_Transfer", _UNSPECIFIED)),
        range=_RANGES.get(props.get("_Range"), 0),
        chroma_location=int(props.get("_ChromaLocation", -1)) + 1,
    )
