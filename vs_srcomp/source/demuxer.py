"""Reading the packets of a stream from any packet on."""

import weakref
from collections.abc import Iterator
from itertools import chain

import av

from vs_srcomp.source.index import UNKNOWN, Packets, readable
from vs_srcomp.source.media import VideoPacket, open_container, video_stream

# Reading this many packets takes about as long as a seek.
NEAR = 64


class Demuxer:
    """Reads the packets of a stream by their numbers in decoding order.

    It seeks if that leads to a packet that it can identify. Otherwise packets are counted from the start of the file.

    Attributes:
        packets: Facts about all packets of the stream.
        next: Number of the next packet that `read` returns.
    """

    def __init__(self, file: str, track: int, packets: Packets) -> None:
        self._file = file
        self._track = track
        self.packets = packets
        self._open()

    def read(self) -> VideoPacket | None:
        """The next packet, or None at the end of the stream."""
        if self.next >= len(self.packets):
            return None
        packet = next(self._source, None)
        if packet is not None:
            self.next += 1
        return packet

    def seek(self, number: int) -> None:
        """Let `read` continue with packet ``number``, or with the end of the stream if there is no such packet."""
        if number >= len(self.packets):
            self.next = len(self.packets)
            return
        if not self.next <= number <= self.next + NEAR and not self._jump(number):
            self._rewind()
        while self.next < number and self.read() is not None:
            pass

    def _jump(self, number: int) -> bool:
        """Seek by timestamp; False if that did not lead to a known packet at or before ``number``."""
        timestamp = int(self.packets.pts[number])
        if timestamp == UNKNOWN:
            return False
        try:
            self._container.seek(timestamp, stream=self._stream)
        except av.FFmpegError:
            return False
        source = self._demux()
        landing = next(source, None)
        landed = None if landing is None else self.packets.find(landing)
        if landing is None or landed is None or landed > number:
            return False
        self._source: Iterator[VideoPacket] = chain([landing], source)
        self.next = landed
        return True

    def close(self) -> None:
        """Close the file."""
        self._source = iter(())
        self._finalize()

    def _rewind(self) -> None:
        # Open it again: raw streams cannot always seek back to their first packet.
        self.close()
        self._open()

    def _open(self) -> None:
        self._container = open_container(self._file)
        # A container and its streams refer to each other, and would otherwise stay open until garbage collection.
        self._finalize = weakref.finalize(self, self._container.close)
        self._stream = video_stream(self._container, self._track)
        self._source = self._demux()
        self.next = 0

    def _demux(self) -> Iterator[VideoPacket]:
        return (packet for packet in readable(self._container.demux(self._stream)) if packet.size)
