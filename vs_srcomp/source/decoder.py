"""Linear decoding from any key packet on, with the number of each frame."""

import weakref
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property

import av
from av.codec.context import ThreadType
from av.video.frame import VideoFrame

from vs_srcomp.errors import error
from vs_srcomp.log import log_info, log_once
from vs_srcomp.processor import core_count
from vs_srcomp.source.demuxer import Demuxer
from vs_srcomp.source.index import Index, Packets, build_index
from vs_srcomp.source.media import decoder_for, fraction, open_container, stream_info, video_stream

# Threads of the decoder beyond one per processor. While frames are copied and returned, decoder threads wait for a
# processor, and others wait for them. Extra threads gain 5 to 10 % at 1080p and at 4K.
_MORE_THREADS = 2


class DamageError(Exception):
    """A packet cannot be decoded while others were in progress: the lost frames are unknown."""


class Decoder:
    """One demuxer and one decoder for a video stream.

    Attributes:
        info: Facts about the stream.
        damaged: Whether a packet could not be decoded.
    """

    def __init__(self, file: str, track: int, *, film_grain: bool, threads: int) -> None:
        self._file = file
        self._track = track
        self._film_grain = film_grain
        self._threads = threads or core_count() + _MORE_THREADS
        self._open()
        self.info = stream_info(self._stream)
        self._shapes: dict[int, Fraction | None] = {}
        self.damaged = False

    @cached_property
    def index(self) -> Index:
        """The stream's frames and packets; the first use reads the file, and decodes it where only that shows them."""
        return build_index(self._container, self._stream, self.display_order)

    @property
    def next_packet(self) -> int:
        """The number of the packet that will be decoded next."""
        return self._demuxer.next

    def pixel_shape(self, number: int) -> Fraction | None:
        """Width to height of a pixel of frame ``number``, which has been decoded; None where unknown."""
        return self._shape_at(int(self.index.packet_of[number]))

    def leave_out_first(self, frames: int) -> None:
        """Begin the index after so many frames."""
        self.index = self.index.without_first(frames)
        what = "the first frame" if frames == 1 else f"the first {frames} frames"
        log_once(f"{what} of {self._file!r} cannot be decoded without what was before the file's beginning: left out")

    def locate_damage(self) -> None:
        """From now on decode one packet at a time, to find the damaged one."""
        self._threads = 1
        self._finalize()
        self._open()

    def close(self) -> None:
        """Free everything now, without waiting for the garbage collector."""
        self._finalize()
        if "_demuxer" in vars(self):
            self._demuxer.close()

    def frames(self, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Decode from packet ``start`` on, a key packet or 0, to the end of the stream.

        Yields:
            Frame numbers, rising, and frames. Missing numbers are of frames that are damaged or need an earlier start.

        Raises:
            DamageError: A packet is damaged. After `locate_damage`, decoding goes on at the next key packet
                instead.
        """
        last = self.index.first_frame(start) - 1
        for frame in self._decode(self._demuxer, start):
            number = -1 if frame.pts is None else int(self.index.frame_of[frame.pts])
            if number > last:
                last = number
                yield number, frame

    @cached_property
    def _demuxer(self) -> Demuxer:
        return Demuxer(self._file, self._track, self.index.packets)

    def _open(self) -> None:
        self._container = open_container(self._file)
        self._finalize = weakref.finalize(self, self._container.close)
        self._stream = video_stream(self._container, self._track)
        self._context = decoder_for(self._stream, film_grain=self._film_grain, threads=self._threads)
        try:
            self._context.open(strict=False)
        except av.FFmpegError as cause:
            raise error(
                f"the video of {self._file!r} cannot be decoded, because its headers are damaged or unknown",
                "get an undamaged copy, or convert the file to a usual codec",
            ) from cause

    def display_order(self, packets: Packets, *, whole: bool) -> list[int]:
        """The packets of frames in the decoder's output order, without those that cannot be decoded."""
        demuxer = Demuxer(self._file, self._track, packets)
        try:
            order = [f.pts for f in self._decode(demuxer, 0) if f.pts is not None]
        except DamageError:
            self.locate_damage()
            return self.display_order(packets, whole=whole)
        finally:
            demuxer.close()
        if self._skipped and whole:
            log_info(f"{_packets(self._skipped)} of {self._file!r} cannot be decoded: what they would show is left out")
        return order

    def _decode(self, demuxer: Demuxer, start: int) -> Iterator[VideoFrame]:
        """Decode all packets from ``start`` on. The ``pts`` of a frame is the number of its packet."""
        self._context.flush_buffers()
        self._skipped = 0
        demuxer.seek(start)
        while (packet := demuxer.read()) is not None:
            # The packet's number replaces its timestamp, which the index has, on the way through the decoder.
            # It identifies each frame, also in streams without timestamps.
            number = demuxer.next - 1
            packet.pts = number
            try:
                frames = self._context.decode(packet)
            except av.FFmpegError as damage:
                yield from self._drain(damage)
                demuxer.seek(demuxer.packets.next_key(number))
                self._skipped += demuxer.next - number
                continue
            self._note_shape(demuxer.packets, start, number - self._packets_under_way)
            yield from frames
        frames = self._drain()
        self._note_shape(demuxer.packets, start, demuxer.next - 1)
        yield from frames

    @property
    def _packets_under_way(self) -> int:
        """How many packets after those that the decoder's own description is of have been given to it."""
        return self._context.thread_count - 1 if self._context.active_thread_type == ThreadType.FRAME else 0

    def _note_shape(self, packets: Packets, start: int, packet: int) -> None:
        """Store the pixel aspect ratio of the decoder, which has decoded from ``start`` to ``packet``.

        PyAV's frames do not have it. It changes only at key packets.
        """
        if not self.info.codec_tells_pixel_shape or packet < start:
            return
        ratio = self._context.sample_aspect_ratio
        shape = fraction(ratio) if ratio else None
        if start not in self._shapes or self._shape_at(packet) != shape:
            key = packets.last_key(packet)
            # A new mapping, because other threads may be reading the old one.
            self._shapes = {**self._shapes, max(start, key): shape}

    def _shape_at(self, packet: int) -> Fraction | None:
        shapes = self._shapes
        latest = max((key for key in shapes if key <= packet), default=None)
        return self.info.sample_aspect_ratio if latest is None else shapes[latest]

    def _drain(self, damage: av.FFmpegError | None = None) -> list[VideoFrame]:
        """The remaining frames, after the last packet or a damaged one."""
        frames: list[VideoFrame] = []
        try:
            frames = self._context.decode(None)
        except av.FFmpegError as cause:
            damage = damage or cause
        self.damaged = self.damaged or damage is not None
        if damage and self._threads != 1:
            raise DamageError from damage
        self._context.flush_buffers()
        return frames


def _packets(count: int) -> str:
    return "a packet" if count == 1 else f"{count} packets"
