"""FFmpeg's metadata as frame properties, with BestSource's names. Unknown properties are not set."""

import struct
from collections.abc import Callable
from fractions import Fraction
from math import atan2, degrees
from typing import Final

import vapoursynth as vs
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

from vs_srcomp.log import log_info
from vs_srcomp.source.formats import PixelFormat
from vs_srcomp.source.hdr10plus import t35_payload
from vs_srcomp.source.media import StreamInfo
from vs_srcomp.source.timing import Timing

type Props = dict[str, int | float | str | bytes | list[float]]

# ITU-T H.273: 2 is unspecified, and 0 is reserved except for the matrix, where it means RGB.
_UNSPECIFIED = 2

# FFmpeg's AVColorRange
_RANGES = {1: vs.RANGE_LIMITED, 2: vs.RANGE_FULL}

# FFmpeg's AVPictureType, and its letters for them
_PICTURE_TYPES = dict(enumerate("IPBSipb", start=1))

# FFmpeg's AVFieldOrder, and VapourSynth's field order. The last two are of interleaved fields; the words there ("bottom
# displayed first" for 4) say the opposite of what Matroska (RFC 9559, 5.1.4.1.28.2) and FFmpeg's own codecs mean.
_FIELD_ORDERS = {
    2: vs.FIELD_TOP,
    3: vs.FIELD_BOTTOM,
    4: vs.FIELD_TOP,
    5: vs.FIELD_BOTTOM,
}


class PropsMaker:
    """The properties of each frame of a clip."""

    def __init__(self, stream: StreamInfo, pixel_format: PixelFormat, timing: Timing) -> None:
        """Store the facts about the whole stream."""
        self._pixel_format = pixel_format
        self._timing = timing
        # Interlaced frames in a stream that does not say so: most such video has the top field first.
        self._field_order = _FIELD_ORDERS.get(stream.field_order, vs.FIELD_TOP)
        self._of_stream: Props = orientation(stream.display_matrix)

    def props(self, number: int, frame: VideoFrame, pixel_shape: Fraction | None) -> Props:
        """The properties of ``frame``, which is frame ``number``; ``pixel_shape`` is width to height of its pixels."""
        props = self._of_stream | self._colour(frame)
        if pixel_shape:
            props["_SARNum"], props["_SARDen"] = pixel_shape.as_integer_ratio()
        if letter := _PICTURE_TYPES.get(frame.pict_type):
            props["_PictType"] = letter
        props["_FieldBased"] = self._field_order if frame.interlaced_frame else vs.FIELD_PROGRESSIVE
        props["_AbsoluteTime"] = self._timing.seconds(number)
        if length := self._timing.length(number):
            props["_DurationNum"], props["_DurationDen"] = length.as_integer_ratio()
        side_data = frame.side_data
        for kind in side_data:
            if describe := _SIDE_DATA.get(kind):
                props |= describe(side_data[kind])
        return props

    def _colour(self, frame: VideoFrame) -> Props:
        props: Props = {}
        family = self._pixel_format.color_family
        if family == vs.RGB:
            props["_Matrix"] = vs.MATRIX_RGB
        elif frame.colorspace != _UNSPECIFIED and not (family == vs.GRAY and frame.colorspace == vs.MATRIX_RGB):
            props["_Matrix"] = frame.colorspace
        if frame.color_primaries not in (0, _UNSPECIFIED):
            props["_Primaries"] = frame.color_primaries
        if frame.color_trc not in (0, _UNSPECIFIED):
            props["_Transfer"] = frame.color_trc
        if self._pixel_format.full_range:
            props["_Range"] = vs.RANGE_FULL
        elif frame.color_range in _RANGES:
            props["_Range"] = _RANGES[frame.color_range]
        if frame.chroma_location:  # AVChromaLocation: the same order as VapourSynth's, but 0 is unspecified
            props["_ChromaLocation"] = frame.chroma_location - 1
        return props


class ChangeOfDescription:
    """Logs once that metadata changes during the stream, which files made from the clip cannot store."""

    _KINDS: Final = {
        "pixel shape": ("_SARNum", "_SARDen"),
        "colour": ("_Matrix", "_Primaries", "_Transfer", "_Range"),
    }

    def __init__(self, file: str) -> None:
        self._file = file
        self._first: dict[str, list[object]] = {}
        self._logged = False

    def look_at(self, number: int, props: Props) -> None:
        """Compare frame ``number`` with the first one that was requested."""
        if self._logged:
            return
        now: dict[str, list[object]] = {
            kind: [props.get(name) for name in names] for kind, names in self._KINDS.items()
        }
        self._first = self._first or now
        changed = [kind for kind in now if now[kind] != self._first[kind]]
        if changed:
            self._logged = True
            log_info(
                f"{self._file!r} changes its {' and its '.join(changed)} at frame {number}: the frames' "
                "properties follow it, but the header of a file that is made from them can hold one only"
            )


def orientation(display_matrix: bytes | None) -> Props:
    """How to turn the picture for display: first flip it, then rotate it clockwise by so many degrees.

    Args:
        display_matrix: Nine 32-bit numbers as in ISO/IEC 14496-12, 8.5.2, or None where the file has none.
    """
    if display_matrix is None or len(display_matrix) < 36:
        return {}
    a, b, _, c, d, *_ = struct.unpack("=9i", display_matrix[:36])
    flip = a * d - b * c < 0
    if flip:
        b, d = -b, -d
    angle = round(degrees(atan2(b / ((b * b + d * d) ** 0.5 or 1), a / ((a * a + c * c) ** 0.5 or 1))))
    return {"Rotation": (-angle if flip else angle) % 360, "FlipVertical": int(flip)}


def _mastering_display(data: SideData) -> Props:
    """FFmpeg's AVMasteringDisplayMetadata: ten rationals, then which halves of it are there."""
    *rationals, has_primaries, has_luminance = struct.unpack_from("=20i2i", bytes(data))
    values = [num / den if den else 0.0 for num, den in zip(rationals[::2], rationals[1::2], strict=True)]
    props: Props = {}
    if has_primaries and all(values[:8]):
        props["MasteringDisplayPrimariesX"] = values[0:6:2]
        props["MasteringDisplayPrimariesY"] = values[1:6:2]
        props["MasteringDisplayWhitePointX"], props["MasteringDisplayWhitePointY"] = values[6:8]
    if has_luminance and values[9]:
        props["MasteringDisplayMinLuminance"], props["MasteringDisplayMaxLuminance"] = values[8:]
    return props


def _content_light_level(data: SideData) -> Props:
    """FFmpeg's AVContentLightMetadata: maximum and maximum frame average, where 0 means unknown."""
    maximum, average = struct.unpack_from("=2I", bytes(data))
    return {"ContentLightLevelMax": maximum, "ContentLightLevelAverage": average} if maximum or average else {}


def _hdr10plus(data: SideData) -> Props:
    payload = t35_payload(data)
    return {"HDR10Plus": payload} if payload else {}


_SIDE_DATA: dict[Type, Callable[[SideData], Props]] = {
    Type.MASTERING_DISPLAY_METADATA: _mastering_display,
    Type.CONTENT_LIGHT_LEVEL: _content_light_level,
    Type.DYNAMIC_HDR_PLUS: _hdr10plus,
    Type.DOVI_RPU_BUFFER: lambda data: {"DolbyVisionRPU": bytes(data)},
    Type.ICC_PROFILE: lambda data: {"ICCProfile": bytes(data)},
}
