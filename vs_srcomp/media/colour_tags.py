"""Colour tags for bitstreams of encoders that write none: players prefer them to the container's tags."""

import io
from collections.abc import Iterable, Iterator

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.stream import VideoStream

from vs_srcomp.media.picture import Colour

_UNKNOWN = {"primaries": 2, "transfer": 2, "matrix": 2, "range": 0, "chroma_location": 0}

# Options of FFmpeg's filters h264_metadata, hevc_metadata, av1_metadata and vp9_metadata.
_H26X = {
    "primaries": "colour_primaries",
    "transfer": "transfer_characteristics",
    "matrix": "matrix_coefficients",
    "range": "video_full_range_flag",
    "chroma_location": "chroma_sample_loc_type",
}
_AV1 = {
    "primaries": "color_primaries",
    "transfer": "transfer_characteristics",
    "matrix": "matrix_coefficients",
    "range": "color_range",
    "chroma_location": "chroma_sample_position",
}
_VP9 = {"matrix": "color_space", "range": "color_range"}
_FILTERS = {"h264": _H26X, "hevc": _H26X, "av1": _AV1, "vp9": _VP9}

_RANGES = {1: "tv", 2: "pc"}
_AV1_LOCATIONS = {1: "vertical", 3: "colocated"}
_VP9_SPACES = {1: "bt709", 5: "bt601", 6: "smpte170", 7: "smpte240", 9: "bt2020"}


def missing_tags(codec: str, found: Colour, wanted: Colour) -> str:
    """The FFmpeg filter that adds the missing tags to a stream; empty if none is missing.

    Args:
        codec: FFmpeg's name of the codec.
        found: The tags that its decoder reports.
        wanted: The right tags; unknown ones are not changed.
    """
    names = _FILTERS.get(codec, {})
    settings = []
    for field, name in names.items():
        value = getattr(wanted, field)
        if value not in (_UNKNOWN[field], getattr(found, field)):
            word = _word(codec, field, value)
            settings += [f"{name}={word}"] if word is not None else []
    return f"{codec}_metadata={':'.join(settings)}" if settings else ""


def _word(codec: str, field: str, value: int) -> str | None:
    """``value`` in the form of the filter for ``codec``; None if the codec cannot store it."""
    if field == "range":
        return str(value - 1) if codec in ("h264", "hevc") else _RANGES.get(value)
    if field == "chroma_location":
        return str(value - 1) if codec in ("h264", "hevc") else _AV1_LOCATIONS.get(value)
    return _VP9_SPACES.get(value) if codec == "vp9" else str(value)


class Tagger:
    """Applies a filter to packets, one for one."""

    def __init__(self, stream: VideoStream, filter_: str) -> None:
        """For packets of ``stream``; without ``filter_``, they are not changed."""
        self.header = stream.codec_context.extradata or b""
        self._filter = None
        if filter_:
            # The filter writes the new header to a stream of this container, which is never written itself.
            with av.open(io.BytesIO(), "w", format="matroska") as container:
                described = container.add_stream_from_template(stream, opaque=True)
                self._filter = BitStreamFilterContext(filter_, stream, described)
                self.header = described.codec_context.extradata or b""

    def tagged(self, packets: "Iterable[Packet[VideoStream]]") -> "Iterator[Packet[VideoStream]]":
        """The filtered ``packets``."""
        for packet in packets:
            yield from self._filter.filter(packet) if self._filter else (packet,)
