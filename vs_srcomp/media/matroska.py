"""The few elements of Matroska (RFC 9559) that FFmpeg cannot be made to write."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer

from vs_srcomp.media.picture import Picture

EBML, _DOC_TYPE, _DOC_TYPE_VERSION, _DOC_TYPE_READ_VERSION = 0x1A45DFA3, 0x4282, 0x4287, 0x4285
_VOID, _CRC_32 = 0xEC, 0xBF
SEGMENT, _INFO, _TIMESTAMP_SCALE, _CLUSTER, _TIMESTAMP = 0x18538067, 0x1549A966, 0x2AD7B1, 0x1F43B675, 0xE7
TRACKS, TRACK_ENTRY, TRACK_NUMBER, _TRACK_UID, _TRACK_TYPE = 0x1654AE6B, 0xAE, 0xD7, 0x73C5, 0x83
_NAME, _CODEC_ID = 0x536E, 0x86
_VIDEO, _PIXEL_WIDTH, _PIXEL_HEIGHT, _DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = (
    *(0xE0, 0xB0, 0xBA),
    *(0x54B0, 0x54BA, 0x54B2),
)
_DISPLAY = {_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT}
_COLOUR, _MAX_CLL, _MAX_FALL, _MASTERING_METADATA = 0x55B0, 0x55BC, 0x55BD, 0x55D0
_PRIMARIES = range(0x55D1, 0x55D9)  # x and y of red, green, blue and white
_LUMINANCE_MAX, _LUMINANCE_MIN = 0x55D9, 0x55DA

UNKNOWN_SIZE = 1 << 56
"""Larger than any element."""

SPARE = "." * 32
"""Placeholder at the end of a track's name, which makes room for `set_display_size`."""


def video_template(picture: Picture, codec_id: str) -> InputContainer:
    """A file with an empty track that has the metadata of ``picture``.

    PyAV can copy the side data of a stream but not create it, so it is copied from this file.

    Args:
        picture: Format of the video.
        codec_id: Matroska's name of its codec.
    """
    mastering = b""
    if picture.mastering:
        values = [value for point in picture.mastering.primaries for value in point]
        mastering = b"".join(_float(identifier, value) for identifier, value in zip(_PRIMARIES, values, strict=False))
        if picture.mastering.luminance:
            low, high = picture.mastering.luminance
            mastering += _float(_LUMINANCE_MAX, high) + _float(_LUMINANCE_MIN, low)
    colour = _element(_MASTERING_METADATA, mastering) if mastering else b""
    if picture.content_light:
        maximum, average = picture.content_light
        colour += _unsigned(_MAX_CLL, maximum) + _unsigned(_MAX_FALL, average)
    video = _unsigned(_PIXEL_WIDTH, picture.width) + _unsigned(_PIXEL_HEIGHT, picture.height)
    track = _unsigned(TRACK_NUMBER, 1) + _unsigned(_TRACK_UID, 1) + _unsigned(_TRACK_TYPE, 1)
    track += _element(_CODEC_ID, codec_id.encode()) + _element(_VIDEO, video + _element(_COLOUR, colour))
    head = _element(_DOC_TYPE, b"matroska") + _unsigned(_DOC_TYPE_VERSION, 4) + _unsigned(_DOC_TYPE_READ_VERSION, 2)
    segment = _element(_INFO, _unsigned(_TIMESTAMP_SCALE, 1_000_000))
    segment += _element(TRACKS, _element(TRACK_ENTRY, track)) + _element(_CLUSTER, _unsigned(_TIMESTAMP, 0))
    return av.open(io.BytesIO(_element(EBML, head) + _element(SEGMENT, segment)), "r", format="matroska")


def set_display_size(file: Path, width: int, height: int) -> None:
    """Set the display size of the video track in a finished file.

    FFmpeg writes this size from a field that PyAV cannot set. The track's entry is rewritten with the same number of
    bytes, so that nothing else in the file moves.

    Args:
        file: A Matroska or WebM file; the track's name ends in `SPARE`, which is removed.
        width: In pixels.
        height: In pixels.
    """
    with file.open("r+b") as stream:
        position, size = _find_tracks(stream)
        stream.seek(position)
        elements = list(children(stream.read(size)))
        body = b"".join(
            _with_display_size(whole, data, width, height) if identifier == TRACK_ENTRY else whole
            for identifier, data, whole in elements
            if identifier != _CRC_32
        )
        if elements[0][0] == _CRC_32:
            body = _element(_CRC_32, struct.pack("<I", zlib.crc32(body)), 1) + body
        assert len(body) == size
        stream.seek(position)
        stream.write(body)


def _find_tracks(stream: io.BufferedRandom) -> tuple[int, int]:
    """Position and size of the content of the element Tracks."""
    while True:
        position = stream.tell()
        identifier, size, start = head(stream.read(12), 0)
        if identifier == TRACKS:
            return position + start, size
        stream.seek(position + start + (0 if identifier == SEGMENT else size))


def _with_display_size(whole: bytes, entry: bytes, width: int, height: int) -> bytes:
    """The track element ``whole``, whose content was ``entry``; unchanged if its name has no `SPARE`."""
    parts = list(children(entry))
    names = [data for identifier, data, _ in parts if identifier == _NAME]
    if not names or not names[0].endswith(SPARE.encode()):
        return whole
    name = names[0].removesuffix(SPARE.encode())
    content = _element(_NAME, name, 2) if name else b""
    for identifier, data, child in parts:
        if identifier == _VIDEO:
            kept = b"".join(part for part_identifier, _, part in children(data) if part_identifier not in _DISPLAY)
            shown = _unsigned(_DISPLAY_WIDTH, width) + _unsigned(_DISPLAY_HEIGHT, height)
            content += _element(_VIDEO, kept + shown, 2)
        elif identifier not in (_NAME, _VOID):
            content += child
    head = 1 + 8
    return _element(TRACK_ENTRY, content + _void(len(whole) - head - len(content)))


def _void(size: int) -> bytes:
    """A Void element of ``size`` bytes."""
    length_bytes = 1 if size < 100 else 8
    return _element(_VOID, bytes(size - 1 - length_bytes), length_bytes)


def children(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Identifier, content and all bytes of each element in ``data``."""
    position = 0
    while position < len(data):
        identifier, size, start = head(data, position)
        yield identifier, data[start : start + size], data[position : start + size]
        position = start + size


def head(data: bytes, position: int) -> tuple[int, int, int]:
    """Identifier and size of the element at ``position``, and the position of its content (RFC 8794, 4 and 5).

    The size may be `UNKNOWN_SIZE`.
    """
    after = position + 9 - data[position].bit_length()
    identifier = int.from_bytes(data[position:after])
    start = after + 9 - data[after].bit_length()
    most = (1 << 7 * (start - after)) - 1
    size = int.from_bytes(data[after:start]) & most
    return identifier, UNKNOWN_SIZE if size == most else size, start


def _element(identifier: int, content: bytes, length_bytes: int = 8) -> bytes:
    """An element whose size field has ``length_bytes`` bytes."""
    size = len(content) | 1 << 7 * length_bytes
    return identifier.to_bytes((identifier.bit_length() + 7) // 8) + size.to_bytes(length_bytes) + content


def _unsigned(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(max(1, (value.bit_length() + 7) // 8)), 1)


def _float(identifier: int, value: float) -> bytes:
    return _element(identifier, struct.pack(">d", value), 1)
