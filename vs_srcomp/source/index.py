"""The packets of a stream, and which of them becomes which frame."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.rational import AVRational
from av.video.stream import VideoStream

from vs_srcomp.source.media import VideoPacket

type Ints = npt.NDArray[np.int64]
type Bools = npt.NDArray[np.bool_]

UNKNOWN = int(np.iinfo(np.int64).min)

# In these codecs, packets are stored in display order and a frame is complete in one packet.
_IN_ORDER = {"libdav1d", "av1", "vp8", "libvpx", "vp9", "libvpx-vp9"}

# These containers cut the stream into pieces that need not be whole frames.
_CUT_ANYHOW = {"mpegts", "mpeg", "mpegvideo", "avi", "vob"}


@dataclass(frozen=True, slots=True)
class Packets:
    """What is known of each packet, in decoding order. All arrays have one entry for each packet.

    Attributes:
        pts: Presentation timestamps in units of the stream's time base, or ``UNKNOWN``.
        duration: Durations in the same unit, 0 where unknown.
        position: Byte offsets in the file, or ``UNKNOWN``.
        size: Sizes in bytes.
        key: Whether decoding can start here.
        shown: Whether the packet brings a picture to show: not so for hidden reference pictures,
            and for what an edit list cuts away.
    """

    pts: Ints
    duration: Ints
    position: Ints
    size: Ints
    key: Bools
    shown: Bools

    def __len__(self) -> int:
        """The number of packets."""
        return len(self.pts)

    def first(self, count: int) -> "Packets":
        """The first ``count`` packets."""
        return Packets(*(getattr(self, field.name)[:count] for field in fields(self)))

    def next_key(self, packet: int) -> int:
        """The first key packet after number ``packet``, or the number of packets."""
        later = np.flatnonzero(self.key[packet + 1 :])
        return packet + 1 + int(later[0]) if len(later) else len(self)

    def find(self, packet: VideoPacket) -> int | None:
        """The number of ``packet``, if just one packet has its place, size and timestamp."""
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
        packet_of: For each frame, in display order, the number of the packet that brings it.
        frame_of: For each packet the number of its frame, or -1. Several packets may belong to one frame.
        time_base: The unit of timestamps and durations, in seconds.
        nominal_rate: The frame rate that the file states or FFmpeg estimates, if any.
    """

    packets: Packets
    packet_of: Ints
    frame_of: Ints
    time_base: Fraction
    nominal_rate: Fraction | None

    def __len__(self) -> int:
        """The number of frames."""
        return len(self.packet_of)

    def starts(self) -> tuple[Ints, Ints]:
        """For each frame, the nearest packet where decoding can start to get it, and the one before that.

        It is the last key packet that is not later than the frame, neither in decoding order nor in display
        order: a frame shown before a key frame but stored after it may lean on what is before both. Packet 0
        takes the place of a key packet that does not exist.
        """
        keys = np.concatenate([[0, 0], np.flatnonzero(self.packets.key)])
        nearest = np.searchsorted(keys, self.packet_of, "right") - 1
        numbers = np.arange(len(self))
        while (too_late := (nearest > 1) & (self.frame_of[keys[nearest]] > numbers)).any():
            nearest[too_late] -= 1
        return keys[nearest], keys[np.maximum(nearest - 1, 0)]

    def first_frame(self, packet: int) -> int:
        """The number of the first frame that decoding from ``packet`` can bring."""
        if packet == 0:
            return 0
        frames = self.frame_of[packet:]
        return int(frames[0] if frames[0] >= 0 else frames[frames >= 0].min())

    def without_first(self, frames: int) -> "Index":
        """The same index, where the first ``frames`` frames are none after all."""
        return replace(
            self,
            packet_of=self.packet_of[frames:],
            frame_of=np.where(self.frame_of < frames, -1, self.frame_of - frames),
        )


def build_index(
    container: InputContainer, stream: VideoStream, display_order: Callable[[Packets], Iterable[int]]
) -> Index:
    """Number the frames of ``stream`` without decoding, wherever the container allows it.

    Args:
        container: A freshly opened container; it is read to the end, if it does not bring a complete index.
        stream: The stream in question.
        display_order: Gets the packets and returns the numbers of those that bring a frame, in display order.
            It is called where only decoding can tell.
    """
    packets = _from_container_index(container, stream) or _from_packets(container, stream)
    if len(packets) == 0:
        order = np.empty(0, np.int64)
    elif _needs_decoding(container, packets, _codec(stream)):
        order = np.fromiter(display_order(packets), np.int64)
    else:
        shown = np.flatnonzero(packets.shown)
        order = shown[np.argsort(packets.pts[shown], kind="stable")]
    frame_of = np.full(len(packets), -1)
    if _codec(stream) in {"libdav1d", "av1"}:
        # A temporal unit shows one frame, but its spatial layers may be stored as packets of their own, with
        # one timestamp (AV1 specification, 7.5). The last layer is the one that is shown.
        units, unit_of = np.unique(packets.pts[order], return_inverse=True)
        frame_of[order] = unit_of
        order = np.maximum.reduceat(order, np.searchsorted(packets.pts[order], units)) if len(order) else order
    else:
        frame_of[order] = np.arange(len(order))
    rate = stream.guessed_rate or stream.average_rate
    return Index(packets, order, frame_of, _fraction(stream.time_base), _fraction(rate) if rate else None)


def _needs_decoding(container: InputContainer, packets: Packets, codec: str) -> bool:
    if (packets.pts == UNKNOWN).any():
        return True
    return codec not in _IN_ORDER and not _CUT_ANYHOW.isdisjoint(container.format.name.split(","))


def _codec(stream: VideoStream) -> str:
    # Without a decoder of its own, the stream is tried as AV1 (see `media.decoder_for`).
    return stream.codec_context.name if stream.codec_context else "libdav1d"


def _from_container_index(container: InputContainer, stream: VideoStream) -> Packets | None:
    """Read the sample table of an MP4 file, which spares reading the whole file.

    Its timestamps are those of decoding, which serve only where the codec does not reorder frames. Fragmented
    files have no complete table.
    """
    entries = stream.index_entries
    if "mp4" not in container.format.name or _codec(stream) not in _IN_ORDER or len(entries) != stream.frames:
        return None
    table = np.array([(e.timestamp, e.pos, e.size, e.is_keyframe, e.is_discard) for e in entries], np.int64)
    if len(table) == 0:
        return None
    pts, position, size, key, discard = table.T
    if len(pts) > 1 and np.diff(pts).min() <= 0:
        return None
    duration = np.diff(pts, append=pts[-1])
    if stream.duration is not None:
        duration[-1] = max(0, stream.duration - (pts[-1] - pts[0]))
    # Where the file was cut off, the table still lists the samples that are gone.
    there = int(np.argmin(np.append(position + size <= Path(container.name).stat().st_size, False)))
    return Packets(pts, duration, position, size, key.astype(bool), discard == 0).first(there)


def readable(packets: Iterator[VideoPacket]) -> Iterator[VideoPacket]:
    """The packets up to the point where the container can be read no further, which is how a cut file ends."""
    with contextlib.suppress(av.FFmpegError):
        yield from packets


def _from_packets(container: InputContainer, stream: VideoStream) -> Packets:
    codec = _codec(stream)
    rows = []
    corrupt = []
    for packet in readable(container.demux(stream)):
        if packet.size:
            time = _known(packet.pts), packet.duration or 0
            rows.append((*time, _known(packet.pos), packet.size, packet.is_keyframe, _shows(codec, packet)))
            corrupt.append(packet.is_corrupt)
    while corrupt and corrupt[-1]:  # the last packet of a file that was cut off is not whole
        corrupt.pop()
    pts, duration, position, size, keys, shows = np.array(rows[: len(corrupt)], np.int64).reshape(-1, 6).T
    return Packets(pts, duration, position, size, keys.astype(bool), shows.astype(bool))


def _shows(codec: str, packet: VideoPacket) -> bool:
    """Whether ``packet`` brings a picture to show; VP8 stores hidden ones as packets of their own (RFC 6386, 9.1)."""
    return not packet.is_discard and (codec != "vp8" or bool(memoryview(packet)[0] & 0x10))


def _known(value: int | None) -> int:
    return UNKNOWN if value is None else value


def _fraction(value: AVRational) -> Fraction:
    return Fraction(value.num, value.den)
