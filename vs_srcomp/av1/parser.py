"""From temporal units to records: sections 5.3.1 (OBUs), 5.9.1 (frame headers) and 7.4 (the end of a frame)."""

from typing import Final, NamedTuple, Self

from vs_srcomp.av1.bits import BitReader
from vs_srcomp.av1.errors import Av1Error
from vs_srcomp.av1.frame import show_existing_frame, uncompressed_header
from vs_srcomp.av1.obu import SEQUENCE_HEADER, STARTS_OF_FRAMES, Obu, ObuType, config_obus, low_overhead_obus
from vs_srcomp.av1.records import CodedFrame, FrameType, ShownFrame
from vs_srcomp.av1.sequence import SequenceHeader, sequence_header_obu
from vs_srcomp.av1.state import ALL_FRAMES, FrameHeader, Slot, State

_FRAME_TYPES: Final = tuple(FrameType)

# A plain number, as in `obu`.
_PARTS_OF_FRAMES: Final = frozenset(map(int, (ObuType.TILE_GROUP, ObuType.REDUNDANT_FRAME_HEADER)))


class Unit(NamedTuple):
    """What a temporal unit, or a part of it, has in it."""

    shown: tuple[ShownFrame, ...]
    """In order of output: one in units that conform, or one for each spatial layer."""
    hidden: tuple[CodedFrame, ...]
    """What is coded after the last frame shown."""

    @classmethod
    def unreadable(cls, pts: int | None = None) -> Self:
        """What counts for one that cannot be parsed: a shown frame of which nothing is known."""
        return cls((ShownFrame(pts, None, None, ()),), ())

    @property
    def coded(self) -> tuple[CodedFrame, ...]:
        """Every frame coded in it, in order of decoding."""
        return (*(frame for shown in self.shown for frame in shown.coded), *self.hidden)


class Parser:
    """Parses the temporal units of one stream, in order.

    A unit that cannot be parsed raises :class:`Av1Error` and empties the reference slots, so that the units after it
    raise too until a key frame makes them readable again.
    """

    def __init__(self, extradata: bytes = b"") -> None:
        """Start at the beginning, or at any random access point, of a stream.

        Args:
            extradata: What a container keeps beside the packets: an av1C box (MP4, Matroska) or bare OBUs; may be
                empty. One that is malformed counts as empty, for the stream repeats what it needs.
        """
        self._state = State()
        self._parse_extradata(extradata)

    @property
    def sequence(self) -> SequenceHeader | None:
        """The active sequence header, None before the first."""
        return self._state.sequence

    def parse(self, data: bytes, pts: int | None = None) -> Unit:
        """Parse one temporal unit, or the part of it that a packet holds.

        Args:
            data: Whole OBUs in the low overhead format: FFmpeg's demuxer converts files in that of Annex B.
            pts: What the records are to say of it.

        Raises:
            Av1Error: The bytes are malformed, or refer to frames that were never seen.
        """
        try:
            return self._parse(data, pts)
        except Av1Error:
            self._state.forget_frames()
            raise

    def _parse_extradata(self, extradata: bytes) -> None:
        data = config_obus(extradata)
        try:
            for obu in low_overhead_obus(data):
                if obu.type == SEQUENCE_HEADER:
                    self._sequence_header(data, obu)
        except Av1Error:
            self._state = State()

    def _parse(self, data: bytes, pts: int | None) -> Unit:
        """The OBUs of a unit: open_bitstream_unit(), section 5.3.1, and frame_header_obu(), section 5.9.1."""
        state = self._state
        shown: list[ShownFrame] = []
        coded: list[CodedFrame] = []  # since the last one shown
        header: FrameHeader | None = None  # of the frame whose tile groups are under way
        size = 0

        def wrap_up(header: FrameHeader) -> None:
            """decode_frame_wrapup(), section 7.4, for a coded frame."""
            frame = _coded_frame(header, size)
            state.update(Slot(header, frame), header.refresh_frame_flags)
            coded.append(frame)
            if header.show_frame:
                shown.append(ShownFrame(pts, frame, None, tuple(coded)))
                coded.clear()

        for obu in low_overhead_obus(data):
            kind = obu.type
            if kind == SEQUENCE_HEADER:
                self._sequence_header(data, obu)
                continue
            sequence = state.sequence
            if (
                obu.has_extension
                and sequence is not None
                and not sequence.operating_point.includes(obu.temporal_id, obu.spatial_id)
            ):
                continue  # drop_obu()
            if kind in STARTS_OF_FRAMES:
                if header is not None:
                    wrap_up(header)
                    header = None
                if sequence is None:
                    raise Av1Error("no sequence header yet", "5.9.1 frame_header_obu", obu.payload << 3)
                bits = BitReader(data, obu.payload, obu.end)
                slot = show_existing_frame(bits, sequence)
                if slot is None:
                    header = uncompressed_header(bits, sequence, state.slots, obu.temporal_id, obu.spatial_id)
                    size = obu.end - obu.start
                else:
                    shown.append(ShownFrame(pts, self._show_existing(bits, slot), slot, tuple(coded)))
                    coded.clear()
            elif kind in _PARTS_OF_FRAMES:
                size += obu.end - obu.start
        if header is not None:
            wrap_up(header)
        return Unit(tuple(shown), tuple(coded))

    def _sequence_header(self, data: bytes, obu: Obu) -> None:
        """Activate a sequence header; one that changes anything frames depend on starts a new sequence."""
        state = self._state
        payload = data[obu.payload : obu.end]
        if payload == state.sequence_payload:
            return
        sequence = sequence_header_obu(BitReader(data, obu.payload, obu.end))
        if sequence != state.sequence:
            state.forget_frames()
        state.sequence = sequence
        state.sequence_payload = payload

    def _show_existing(self, bits: BitReader, i: int) -> CodedFrame:
        """decode_frame_wrapup(), section 7.4, for show_existing_frame equal to 1: a key frame refreshes all slots."""
        slot = self._state.slots[i]
        if slot is None:
            bits.fail(f"slot {i}, to be shown, is empty")
        if not slot.header.showable_frame:
            bits.fail(f"slot {i}, to be shown, holds a frame that is not showable")
        if slot.frame.frame_type == FrameType.KEY:
            self._state.update(slot, ALL_FRAMES)
        return slot.frame


def _coded_frame(header: FrameHeader, size: int) -> CodedFrame:
    """The record of a frame of ``size`` bytes."""
    q_idx = header.segment_q_idx
    frame_size = header.size
    return CodedFrame(
        _FRAME_TYPES[header.frame_type],
        header.show_frame == 1,
        header.base_q_idx,
        min(q_idx),
        max(q_idx),
        header.delta_q_present == 1,
        frame_size.superres_denom,
        frame_size.upscaled_width,
        frame_size.frame_height,
        header.apply_grain == 1,
        header.ref_frame_idx,
        header.refresh_frame_flags,
        size,
    )
