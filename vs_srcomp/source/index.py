"""The packets of a stream, and the frame of each."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from vs_srcomp.av1.layers import Layers, Part
from vs_srcomp.errors import error
from vs_srcomp.source.media import VideoPacket, codec_of, extradata_of, fraction
from vs_srcomp.source.restart import restart_shifts

type Ints = npt.NDArray[np.int64]
type Bools = npt.NDArray[np.bool_]

_TS_DISCONT: int = Flags.ts_discont.value  # type: ignore[assignment]  # the stub says that it is a flag itself

UNKNOWN = int(np.iinfo(np.int64).min)

# In these codecs, packets are stored in display order and a frame is complete in one packet.
_IN_ORDER = {"av1", "vp8", "vp9"}

# These containers cut the stream into pieces that need not be whole frames.
_CUT_ANYHOW = {"mpegts", "mpeg", "mpegvideo", "avi", "vob"}

# No decoder reorders over more frames (H.264 and H.265: 16, of two fields): a time that would move a frame further is
# wrong, or belongs to another clock.
_MOST_HELD_BACK = 32

# If a stream reorders at all, it does so within this many packets, or so rarely that it does not matter.
_TRIED = 64

# In these codecs, a packet may be one of the two fields of a frame.
_HAS_FIELDS = {"h264", "mpeg2video", "vc1"}

# AVFieldOrder
_PROGRESSIVE = 1

# MPEG-4's pictures that are not coded, which repeat the one before, have fewer bytes (FFmpeg, MAX_NVOP_SIZE).
_LEAST_CODED = 20


@dataclass(frozen=True, slots=True)
class Packets:
    """Facts about each packet, in decoding order. All arrays have one entry per packet.

    Attributes:
        pts: Presentation timestamps in units of the stream's time base, or ``UNKNOWN``.
        dts: Decoding timestamps in the same unit, or ``UNKNOWN``.
        duration: Durations in the same unit, 0 where unknown.
        position: Byte offsets in the file, or ``UNKNOWN``.
        size: Sizes in bytes.
        key: Whether decoding can start here.
        shown: Whether the packet has a shown picture, and not a hidden reference picture or one that an edit list
            removes.
        continues: Whether the packet is a further spatial layer of the previous packet's picture.
    """

    pts: Ints
    dts: Ints
    duration: Ints
    position: Ints
    size: Ints
    key: Bools
    shown: Bools
    continues: Bools

    def __len__(self) -> int:
        return len(self.pts)

    def first(self, count: int) -> "Packets":
        """The first ``count`` packets."""
        return Packets(*(getattr(self, field.name)[:count] for field in fields(self)))

    def next_key(self, packet: int) -> int:
        """The first key packet after number ``packet``, or the number of packets."""
        later = np.flatnonzero(self.key[packet + 1 :])
        return packet + 1 + int(later[0]) if len(later) else len(self)

    def last_key(self, packet: int) -> int:
        """The last key packet up to number ``packet``, or 0."""
        return self.earlier_key(packet + 1, 1)

    def earlier_key(self, packet: int, count: int) -> int:
        """The key packet ``count`` key packets before number ``packet``, or 0."""
        earlier = np.flatnonzero(self.key[:packet])
        return int(earlier[-count]) if count <= len(earlier) else 0

    def find(self, packet: VideoPacket) -> int | None:
        """The number of ``packet``, if exactly one packet has its position, size and timestamp."""
        same = (self.position == _known(packet.pos)) & (self.size == packet.size)
        if np.count_nonzero(same) > 1:
            same &= self.pts == _known(packet.pts)
        numbers = np.flatnonzero(same)
        return int(numbers[0]) if len(numbers) == 1 else None


@dataclass(frozen=True, slots=True)
class Index:
    """Frame numbers and packets of a stream.

    Attributes:
        packets: All packets of the stream, in decoding order.
        packet_of: For each frame, in display order, the number of its packet.
        frame_of: For each packet the number of its frame, or -1. Several packets may belong to one frame.
        times: For each frame, its time in units of ``time_base``, or ``UNKNOWN``.
        time_base: The unit of timestamps and durations, in seconds.
        nominal_rate: The frame rate by the file or by FFmpeg's estimate, if any.
        broadcast: Whether the file's clock starts anywhere, and may jump.
    """

    packets: Packets
    packet_of: Ints
    frame_of: Ints
    times: Ints
    time_base: Fraction
    nominal_rate: Fraction | None
    broadcast: bool = False

    def __len__(self) -> int:
        return len(self.packet_of)

    def starts(self) -> Ints:
        """For each frame, the nearest packet from which to decode it.

        It is the last key packet that is not later than the frame in decoding order or in display order: a frame that
        is shown before a key frame but stored after it may refer to frames before both. Packet 0 replaces a missing key
        packet.
        """
        keys = np.concatenate([[0], np.flatnonzero(self.packets.key)])
        nearest = np.searchsorted(keys, self.packet_of, "right") - 1
        numbers = np.arange(len(self))
        while (too_late := (nearest > 0) & (self.frame_of[keys[nearest]] > numbers)).any():
            nearest[too_late] -= 1
        return keys[nearest]

    def first_frame(self, packet: int) -> int:
        """Number of the first frame that decoding from ``packet`` can produce."""
        if packet == 0:
            return 0
        frames = self.frame_of[packet:]
        return int(frames[0] if frames[0] >= 0 else frames[frames >= 0].min())

    def clock_shifts(self) -> Ints:
        """The shifts of ``times``, which must be known, that make the clock continuous."""
        # Of packets in the same packet of the container, only the first has a position.
        begin = np.maximum.accumulate(self.packets.position)[self.packet_of]
        are_known = self.broadcast and bool((begin != UNKNOWN).all())
        places = (begin, begin + self.packets.size[self.packet_of]) if are_known else None
        return restart_shifts(self.times, float(1 / self.time_base), places)

    def without_first(self, frames: int) -> "Index":
        """The same index without the first ``frames`` frames."""
        return replace(
            self,
            packet_of=self.packet_of[frames:],
            times=self.times[frames:],
            frame_of=np.where(self.frame_of < frames, -1, self.frame_of - frames),
        )


class DisplayOrder(Protocol):
    """Decodes the packets of a stream, or of its beginning."""

    def __call__(self, packets: Packets, *, whole: bool) -> Iterable[int]:
        """Numbers of the packets of frames, in display order."""
        ...


def build_index(container: InputContainer, stream: VideoStream, display_order: DisplayOrder) -> Index:
    """Number the frames of ``stream``, without decoding if the container allows it.

    Args:
        container: A freshly opened container, which is read to the end if it has no complete index.
        stream: The stream.
        display_order: Called if only decoding shows the order; may close ``container``.
    """
    rate = stream.guessed_rate or stream.average_rate
    nominal_rate, time_base = fraction(rate) if rate else None, fraction(stream.time_base)
    packets = _from_container_index(container, stream) or _from_packets(container, stream)
    order = _order(container, stream, packets, display_order)
    frame_of = np.full(len(packets), -1)
    # The last layer of a picture is the one that is shown.
    begins = ~packets.continues[order]
    begins[:1] = True
    numbers = np.cumsum(begins) - 1
    frame_of[order] = numbers
    last = np.flatnonzero(np.diff(numbers, append=len(numbers)))
    packet_of = order[last]
    broadcast = has_broadcast_clock(container)
    step = float(1 / nominal_rate / time_base) if nominal_rate else None
    times = _filled(_times(packets, packet_of, broadcast=broadcast), step)
    return Index(packets, packet_of, frame_of, times, time_base, nominal_rate, broadcast)


def has_broadcast_clock(container: InputContainer) -> bool:
    """Whether the clock of this type of file starts anywhere, and may restart."""
    return bool(container.format.flags & _TS_DISCONT)


def _order(container: InputContainer, stream: VideoStream, packets: Packets, display_order: DisplayOrder) -> Ints:
    """Numbers of the packets with shown pictures, in display order."""
    codec, context, shown = codec_of(stream), stream.codec_context, np.flatnonzero(packets.shown)
    if codec in _IN_ORDER or len(packets) == 0:
        return shown
    cut_anyhow = not _CUT_ANYHOW.isdisjoint(container.format.name.split(","))
    has_empty = codec == "mpeg4" and bool((packets.size[shown] < _LEAST_CODED).any())
    may_reorder = context is None or bool(context.has_b_frames)
    has_fields = may_have_fields(stream)
    in_time = np.argsort(packets.pts[shown], kind="stable")
    if not (cut_anyhow or has_empty) and _may_be_true(packets.pts[shown], in_time):
        # Frames are stored in another order than that of display where a codec has bidirectional prediction. Times
        # that never show it are times of decoding, unless the encoder made no use of it; the first frames show it.
        if not has_fields and not (may_reorder and _rise(packets.pts)):
            return shown[in_time]
        tried = np.fromiter(display_order(packets.first(_TRIED), whole=False), np.int64)
        are_frames = not has_fields or each_is_a_frame(packets.first(_TRIED), tried)
        if are_frames and (_rise(tried) or not _rise(packets.pts)):
            return shown[in_time]
    return np.fromiter(display_order(packets, whole=True), np.int64)


def may_have_fields(stream: VideoStream) -> bool:
    """Whether packets of ``stream`` may be fields, two for a frame, by its headers."""
    context = stream.codec_context
    return context is not None and codec_of(stream) in _HAS_FIELDS and context.field_order != _PROGRESSIVE


def each_is_a_frame(packets: Packets, decoded: Ints) -> bool:
    """Whether each of ``packets`` that is shown is among the ``decoded`` ones, whose times are known.

    Those before the first are not counted: after a cut, they refer to pictures that are gone.
    """
    expected = packets.shown & (packets.pts > packets.pts[decoded].min(initial=packets.pts.max()))
    return bool(np.isin(np.flatnonzero(expected), decoded).all())


def _may_be_true(times: Ints, order: Ints) -> bool:
    """Whether ``times`` of packets can be those of their presentation, which would come in ``order``."""
    known = bool((times != UNKNOWN).all())
    different = _rise(times[order])
    return known and different and bool((np.abs(order - np.arange(len(order))) <= _MOST_HELD_BACK).all())


def _times(packets: Packets, packet_of: Ints, *, broadcast: bool) -> Ints:
    """Times of the frames.

    If presentation times rise from packet to packet although frames are reordered, the file has decoding times only:
    they are assigned to the frames in display order. So are times that step back a little, as those of packed
    bidirectional frames in AVI do.
    """
    times = packets.pts[packet_of]
    if (times == UNKNOWN).any() or _rise(times):
        return times
    if _rise(packet_of) or not _rise(packets.pts):
        order = np.argsort(times, kind="stable")
        return times[order] if not broadcast and _may_be_true(times, order) else times
    decoding = packets.dts[packet_of]
    return np.sort(decoding if (decoding != UNKNOWN).all() and _rise(packets.dts) else times)


def _filled(times: Ints, step: float | None) -> Ints:
    """``times`` with the unknown ones: even between known ones, and a ``step`` apart before and after them.

    They stay unknown if all are, as in raw streams, or if the step is not known. A file that was cut without coding it
    again may begin with pictures before its time 0, whose times Matroska leaves out.
    """
    known = np.flatnonzero(times != UNKNOWN)
    if not len(known) or len(known) == len(times) or not step:
        return times
    numbers = np.arange(len(times))
    inside = np.interp(numbers, known, times[known])
    outside = np.minimum(numbers - known[0], 0) + np.maximum(numbers - known[-1], 0)
    return np.where(times == UNKNOWN, np.rint(inside + step * outside).astype(np.int64), times)


def _rise(numbers: Ints) -> bool:
    return bool((np.diff(numbers) > 0).all())


def _from_container_index(container: InputContainer, stream: VideoStream) -> Packets | None:
    """Read the sample table of an MP4 file, without reading the whole file.

    Its times are those of decoding, without the offsets of display (``ctts``), so it is of use only where these are the
    same: the codec does not reorder frames, and the first one is shown at its time. Fragmented files have no complete
    table.
    """
    entries = stream.index_entries
    if "mp4" not in container.format.name or codec_of(stream) not in _IN_ORDER or len(entries) != stream.frames:
        return None
    table = np.array([(e.timestamp, e.pos, e.size, e.is_keyframe, e.is_discard) for e in entries], np.int64)
    if len(table) == 0:
        return None
    pts, position, size, key, discard = table.T
    if len(pts) > 1 and np.diff(pts).min() <= 0:
        return None
    if stream.start_time is not None and (discard == 0).any() and stream.start_time != pts[discard == 0][0]:
        return None
    duration = np.diff(pts, append=pts[-1])
    if stream.duration is not None:
        duration[-1] = max(0, stream.duration - (pts[-1] - pts[0]))
    # The table of a truncated file still lists the missing samples.
    there = int(np.argmin(np.append(position + size <= Path(container.name).stat().st_size, False)))
    no_layers = np.zeros(len(pts), bool)
    return Packets(pts, pts, duration, position, size, key.astype(bool), discard == 0, no_layers).first(there)


def readable(packets: Iterator[VideoPacket]) -> Iterator[VideoPacket]:
    """The packets up to the first error, as at the end of a truncated file."""
    with contextlib.suppress(av.FFmpegError):
        yield from packets


def complete_packets(packets: Iterable[VideoPacket]) -> Iterator[VideoPacket]:
    """The packets without PyAV's mark of the end, and without incomplete ones at the end of a truncated file."""
    held_back = []
    for packet in packets:
        if not packet.size:  # the mark
            continue
        held_back.append(packet)
        if not packet.is_corrupt:
            yield from held_back
            held_back.clear()


def _from_packets(container: InputContainer, stream: VideoStream) -> Packets:
    part_of = _parts(stream)
    rows = []
    for packet in complete_packets(readable(container.demux(stream))):
        part = part_of(packet)
        if packet.is_discard:
            part = Part.NOTHING
        time = _known(packet.pts), _known(packet.dts), packet.duration or 0
        rows.append((*time, _known(packet.pos), packet.size, packet.is_keyframe, int(part)))
    pts, dts, duration, position, size, keys, parts = np.array(rows, np.int64).reshape(-1, 7).T
    shown, continues = parts != Part.NOTHING, parts == Part.FURTHER_LAYER
    return Packets(pts, dts, duration, position, size, keys.astype(bool), shown, continues)


def _parts(stream: VideoStream) -> Callable[[VideoPacket], Part]:
    """The content of a packet of ``stream``: codecs may store hidden pictures and layers in their own packets."""
    codec = codec_of(stream)
    if codec == "av1":
        layers = Layers(extradata_of(stream))
        return partial(_part_of_av1, layers, stream)
    if codec == "vp8":  # RFC 6386, 9.1: show_frame
        return lambda packet: Part.PICTURE if memoryview(packet)[0] & 0x10 else Part.NOTHING
    return lambda packet: Part.PICTURE


def _part_of_av1(layers: Layers, stream: VideoStream, packet: VideoPacket) -> Part:
    part = layers.part(memoryview(packet))
    if layers.has_tile_lists:
        raise error(
            f"{stream.container.name!r} is AV1 for large scale tile decoding: its pictures are lists of tiles",
            "decode it first with a program that does so, such as libaom's lightfield_tile_list_decoder",
        )
    return part


def _known(value: int | None) -> int:
    return UNKNOWN if value is None else value
