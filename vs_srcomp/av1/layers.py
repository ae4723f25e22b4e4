"""Spatial layers: which packets show a picture and which continue one, and merging them (sections 7.5 and 7.18.2).

A temporal unit shows one picture, but containers may hold its spatial layers in packets of their own. Timestamps
are no guide: two pictures may have the same, rounded to a container's clock. The headers are.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from vs_srcomp.av1.bits import BitReader
from vs_srcomp.av1.errors import Av1Error
from vs_srcomp.av1.obu import SEQUENCE_HEADER, STARTS_OF_FRAMES, Obu, ObuType, config_obus, low_overhead_obus
from vs_srcomp.av1.records import CodedFrame, ShownFrame
from vs_srcomp.av1.sequence import SequenceHeader, sequence_header_obu
from vs_srcomp.av1.tile_list import is_tile_list

# Plain numbers, as in `obu`.
_TEMPORAL_DELIMITER: Final = int(ObuType.TEMPORAL_DELIMITER)
_TILE_LIST: Final = int(ObuType.TILE_LIST)

# The first bits of a frame header, section 5.9.2: show_existing_frame (1), frame_type (2), show_frame (1).
_SHOWN: Final = 0x80 | 0x10

# In the first byte of an OBU header, section 5.3.2
_HAS_EXTENSION: Final = 0x04
_HAS_SIZE: Final = 0x02


class Part(IntEnum):
    """What a packet brings."""

    NOTHING = 0
    """To show: hidden frames, or none."""
    PICTURE = 1
    """A picture of its own."""
    FURTHER_LAYER = 2
    """A higher spatial layer, which replaces what the packet before brings."""


class Layers:
    """Finds what each packet of a stream brings; they must come in order."""

    def __init__(self, extradata: bytes = b"") -> None:
        """Start at the beginning of a stream; ``extradata`` as for `vs_srcomp.av1.Parser`."""
        self._sequence: SequenceHeader | None = None
        self._scalable = True  # until a sequence header declares that it is not
        self._layer = -1  # the highest of the picture under way
        self.has_tile_lists = False
        """Whether there were tile lists so far; see `vs_srcomp.av1.tile_list`."""
        self.part(config_obus(extradata))

    def part(self, data: bytes | memoryview) -> Part:
        """What the next packet brings. One that cannot be parsed counts as a picture of its own."""
        try:
            if not self._scalable and _shows_frame(data):
                return Part.PICTURE
            return self._part(data)
        except (Av1Error, IndexError):
            self._layer = -1
            return Part.PICTURE

    def _part(self, data: bytes | memoryview) -> Part:
        before, shown = self._layer, False
        for obu in low_overhead_obus(data):
            kind = obu.type
            if kind in STARTS_OF_FRAMES:
                if self._is_shown(data[obu.payload], obu):
                    shown = True
                    self._layer = obu.spatial_id
            elif kind == SEQUENCE_HEADER:
                self._activate(bytes(data[obu.payload : obu.end]))
            elif kind == _TEMPORAL_DELIMITER:
                before = self._layer = -1
            elif kind == _TILE_LIST:  # a picture of tiles, which large scale tile decoding shows (section 7.3)
                shown = True
                self.has_tile_lists |= is_tile_list(data[obu.payload : obu.end])
        if not shown:
            return Part.NOTHING
        layered = self._sequence is not None and self._sequence.spatial_layers > 1
        return Part.FURTHER_LAYER if layered and 0 <= before < self._layer else Part.PICTURE

    def _activate(self, payload: bytes) -> None:
        self._sequence = sequence = sequence_header_obu(BitReader(payload))
        self._scalable = bool(sequence.operating_point.idc or sequence.reduced_still_picture_header)

    def _is_shown(self, first_byte: int, obu: Obu) -> bool:
        sequence = self._sequence
        if sequence is not None:
            if obu.has_extension and not sequence.operating_point.includes(obu.temporal_id, obu.spatial_id):
                return False  # drop_obu()
            if sequence.reduced_still_picture_header:
                return True
        return bool(first_byte & _SHOWN)


class PictureMerger:
    """Merges the frames of a picture into one record: hidden frames before it, and its spatial layers.

    Of the layers the highest, which is the last, is shown, as decoders put out by default.
    """

    def __init__(self) -> None:
        self._hidden: list[CodedFrame] = []
        self._coded: list[CodedFrame] = []
        self._shown: ShownFrame | None = None

    def add_hidden(self, frames: Iterable[CodedFrame]) -> None:
        """Add frames that belong to the next frame shown."""
        self._hidden += frames

    def add_shown(self, shown: ShownFrame) -> None:
        """Add a frame, with what was coded for it."""
        self._coded += [*self._hidden, *shown.coded]
        self._hidden.clear()
        self._shown = shown

    def take(self) -> ShownFrame | None:
        """The record of the picture, None if nothing is shown; the next frame shown begins another picture."""
        shown, coded = self._shown, tuple(self._coded)
        self._shown = None
        self._coded.clear()
        return shown and shown._replace(coded=coded)


def _shows_frame(data: bytes | memoryview) -> bool:
    """Whether ``data``, of a stream without layers, has a frame to show and before it no sequence header.

    `low_overhead_obus` would find it too, but takes ten times as long, for every packet of a film.

    Raises:
        IndexError: The data ends inside an OBU.
    """
    at, end = 0, len(data)
    while at < end:
        header = data[at]
        kind = (header >> 3) & 15
        if kind == SEQUENCE_HEADER:
            return False
        at += 2 if header & _HAS_EXTENSION else 1
        size = end - at
        if header & _HAS_SIZE:
            size = shift = 0
            more = 0x80
            while more:  # leb128()
                more = data[at]
                size |= (more & 0x7F) << shift
                more &= 0x80
                shift += 7
                at += 1
        if kind in STARTS_OF_FRAMES and data[at] & _SHOWN:
            return True
        at += size
    return False
