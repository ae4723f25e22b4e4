"""Times and key frames of a file, and where its clock restarts."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from vs_srcomp.source.decoder import Decoder
from vs_srcomp.source.index import UNKNOWN, Index, has_broadcast_clock, readable
from vs_srcomp.source.media import fraction
from vs_srcomp.source.reader import FrameReader
from vs_srcomp.source.restart import is_new_clock
from vs_srcomp.source.timing import timing

_WITH_TABLES = {"mp4", "avi"}


@dataclass(frozen=True)
class Timeline:
    """The frames of a file in display order, as ``vs_srcomp.source`` numbers them."""

    timestamps: list[int]
    """Time of each frame in units of ``time_base``, on the file's own clock."""
    keys: list[int]
    """Numbers of the frames where decoding can start, in rising order."""
    time_base: Fraction
    """Unit of times, in seconds."""
    shifts: list[Fraction]
    """For each packet of the stream, the seconds added to the file's own times; empty if none."""

    def time(self, frame: int) -> Fraction:
        """Time of ``frame`` in seconds."""
        return self.timestamps[frame] * self.time_base


def timeline_of(file: str, time_base: Fraction) -> Timeline:
    """Read the index of a file's first video track. If the container allows it, only the first frame is decoded.

    Args:
        file: Absolute path.
        time_base: Unit of the resulting timestamps, in seconds.
    """
    index = FrameReader(Decoder(file, 0, film_grain=False, threads=1)).index
    times = timing(index)
    unit = times.time_base / time_base
    return Timeline(
        [round(int(start) * unit) for start in times.start],
        np.flatnonzero(index.packets.key[index.packet_of]).tolist(),
        time_base,
        _shifts(index),
    )


def _shifts(index: Index) -> list[Fraction]:
    if (index.times == UNKNOWN).any():
        return []
    of_frames = index.clock_shifts()
    if not of_frames.any():
        return []
    # Packets without their own frame, such as second fields, are on the clock of the packets before them.
    frames = np.maximum.accumulate(np.maximum(index.frame_of, 0))
    return [int(shift) * index.time_base for shift in of_frames[frames]]


def clock_restarts(container: InputContainer, stream: VideoStream) -> bool:
    """Whether the clock of ``stream`` restarts. Files without a table of all times are read to the end.

    Args:
        container: Freshly opened.
        stream: One of its streams.
    """
    if not _WITH_TABLES.isdisjoint(container.format.name.split(",")):
        return False
    may_leap = has_broadcast_clock(container)
    unit = float(fraction(stream.time_base))
    last: tuple[int, int] | None = None
    for packet in readable(container.demux(stream)):
        if packet.size and packet.dts is not None:
            place = packet.pos if packet.pos is not None else last[1] if last else 0
            if last and is_new_clock((packet.dts - last[0]) * unit, place - last[1] if may_leap else None):
                return True
            last = packet.dts, place + packet.size
    return False
