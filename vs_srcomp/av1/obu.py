"""Open bitstream units: sections 5.3 and 6.2 (headers and types), and 5.2 (low overhead format)."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from vs_srcomp.av1.bits import leb128
from vs_srcomp.av1.errors import Av1Error


class ObuType(IntEnum):
    """obu_type, section 6.2.2; other values are reserved and to be ignored."""

    SEQUENCE_HEADER = 1
    TEMPORAL_DELIMITER = 2
    FRAME_HEADER = 3
    TILE_GROUP = 4
    METADATA = 5
    FRAME = 6
    REDUNDANT_FRAME_HEADER = 7
    TILE_LIST = 8
    PADDING = 15


# Plain integers: a comparison with a member of an IntEnum takes several times as long.
SEQUENCE_HEADER: Final = int(ObuType.SEQUENCE_HEADER)
"""The type as a plain number."""

STARTS_OF_FRAMES: Final = frozenset(map(int, (ObuType.FRAME, ObuType.FRAME_HEADER)))
"""The types that a frame begins with, as plain numbers."""


class Obu(NamedTuple):
    """One open bitstream unit inside a larger buffer."""

    type: int
    """obu_type: an :class:`ObuType`, or a reserved value."""
    has_extension: bool
    """Whether the two layer ids are coded; they are 0 where not."""
    temporal_id: int
    spatial_id: int
    start: int
    """Index of the first byte of the OBU, its header included."""
    payload: int
    """Index of the first byte after header and size."""
    end: int
    """Index of the first byte after the OBU."""

    @property
    def size(self) -> int:
        """Bytes, the header included."""
        return self.end - self.start


def low_overhead_obus(data: bytes | memoryview) -> Iterator[Obu]:
    """The OBUs of ``data`` in the low overhead format, section 5.2.

    As containers allow, an OBU without obu_size takes all that is left.

    Raises:
        Av1Error: An OBU header is malformed, or an OBU is longer than the data.
    """
    at = 0
    while at < len(data):
        obu = _open_bitstream_unit(data, at, len(data))
        yield obu
        at = obu.end


def config_obus(extradata: bytes) -> bytes:
    """The OBUs that a container keeps beside the packets, in the low overhead format.

    Args:
        extradata: Bare OBUs, or an av1C box (AV1 in ISO-BMFF, section 2.3), whose configOBUs begin after four bytes.
    """
    marker_and_version = 0x81
    return extradata[4:] if extradata[:1] == bytes([marker_and_version]) else extradata


def _open_bitstream_unit(data: bytes | memoryview, start: int, end: int) -> Obu:
    """open_bitstream_unit(sz), section 5.3.1, as far as the payload.

    Reads whole bytes instead of bits: the fields never straddle one, and this runs for every OBU of a film.
    """
    if start >= end:
        raise Av1Error("the data ends", "5.3.2 obu_header", start << 3)
    header = data[start]
    if header & 0x80:
        raise Av1Error("obu_forbidden_bit is set", "5.3.2 obu_header", start << 3)
    at = start + 1
    temporal_id = spatial_id = 0
    if header & 0x04:
        if at >= end:
            raise Av1Error("the data ends", "5.3.3 obu_extension_header", at << 3)
        temporal_id, spatial_id = data[at] >> 5, (data[at] >> 3) & 3
        at += 1
    if header & 0x02:
        size, at = leb128(data, at, end, "5.3.1 obu_size")
        if at + size > end:
            raise Av1Error(f"an OBU of {size} bytes, but {end - at} are left", "5.3.1 obu_size", at << 3)
        end = at + size
    return Obu((header >> 3) & 15, header & 0x04 != 0, temporal_id, spatial_id, start, at, end)
