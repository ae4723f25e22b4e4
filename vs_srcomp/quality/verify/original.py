"""The content of a source, read by FFmpeg alone.

A check must not share bugs with what it checks, so this module uses no code that makes outputs. Frames are those of
FFmpeg's decoder, with the times that it reports.
"""

import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple

import av
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vs_srcomp.media.subtitles import AnyPacket
from vs_srcomp.progress import Progress, check_cancelled
from vs_srcomp.source.media import fraction

# Encoders and rounding set times back by less than this many seconds; more means that the clock restarts.
_NEW_CLOCK = Fraction(1, 10)

# Seconds by which the next frame may be later on the same clock, at fewer bytes per second in between than below.
_LEAP, _LEAST_BYTES = 10, 1000

# Broadcast clocks wrap around after so many units.
_CYCLE = 1 << 33

# Seconds to read before and after a section: subtitles may be shown long, and interleaving is not exact.
_BEFORE, _AFTER = 30, 10

# In joined recordings, times step back at fewer than one of so many frames; otherwise the times are wrong.
_RARELY = 20

_BROADCAST = {"mpegts", "mpeg", "ogg", "ty", "dhav", "live_flv", "m4v"}


class CopiedPacket(NamedTuple):
    """A packet that must be in the result."""

    time: Fraction
    """Time in seconds on the result's clock."""
    length: Fraction
    """In seconds; 0 if unknown."""
    sum: int
    """Checksum of its content."""


@dataclass
class _Stored:
    """The packets of one stream, in file order; times in units of the stream."""

    unit: Fraction
    may_be_cut: bool
    """Whether packets are cut to the section, and what is visible at its start belongs to it: subtitles."""
    times: "array[int]" = field(default_factory=lambda: array("q"))
    lengths: "array[int]" = field(default_factory=lambda: array("q"))
    sums: "array[int]" = field(default_factory=lambda: array("L"))
    beside: "array[int]" = field(default_factory=lambda: array("q"))
    """Number of the last video packet before it."""


class Original:
    """A file, or a section of it.

    Attributes:
        side_data: Types of side data of its frames.
        first: Time of its first frame in seconds on the file's clock, if the section has a start.
        stop: End of the section in seconds on the file's clock, if it has one.
        zero: The time that becomes 0 in the result.
        has_alpha: Whether its frames have an alpha plane.
        damaged: Number of video packets that cannot be decoded.
    """

    def __init__(self, video: VideoStream, others: Iterable[Stream], origin: Fraction, *, broadcast: bool) -> None:
        """Start before the first packet.

        Args:
            video: The stream that was encoded.
            others: The streams that were copied.
            origin: Zero of the result's clock in seconds on the file's clock, unless the section has a start.
            broadcast: Whether the file's clock may jump.
        """
        self._broadcast = broadcast
        self.side_data: set[Type] = set()
        self.damaged = 0
        self.has_alpha = False
        self._stored = {
            stream.index: _Stored(fraction(stream.time_base), stream.type == "subtitle") for stream in others
        }
        self._unit = fraction(video.time_base)
        self._rate = video.guessed_rate or video.average_rate
        context = video.codec_context or av.CodecContext.create("libdav1d", "r")  # Dolby Vision over plain AV1
        assert isinstance(context, VideoCodecContext)
        context.thread_type = "AUTO"
        self._context = context
        self._decoded: array[int] = array("q")  # time of each packet, in units of the stream
        self._latest: int | None = None  # the latest time of presentation of a packet
        self._are_decoding_times = True  # times of presentation rise from packet to packet
        self._times: array[int] = array("q")  # time of each frame
        self._leaps: set[int] = set()  # the packets before which the clock jumps
        self._place = 0  # end of the last packet
        self._untimed: list[int] = []  # the frames whose times FFmpeg does not know
        self._last_length = 0
        self._clocks = [0]
        self._clock_of: array[int] = array("q")
        self._begin = self._finish = 0
        self.first: Fraction | None = None
        self.stop: Fraction | None = None
        self.zero = origin

    @property
    def frames(self) -> int:
        """Number of frames; while the file is being read, of decoded ones."""
        return (self._finish or len(self._times)) - self._begin

    def times(self) -> Iterator[Fraction]:
        """Time of each frame in seconds on the result's clock."""
        return (time * self._unit - self.zero for time in self._times[self._begin : self._finish])

    @property
    def last_length(self) -> Fraction | None:
        """Duration of the last frame in seconds, if known."""
        times, last = self._times, self._finish
        if last < len(times):
            return (times[last] - times[last - 1]) * self._unit
        length = self._last_length or (times[-1] - times[-2] if len(times) > 1 else 0)
        return length * self._unit if length > 0 else None

    def packets(self, index: int) -> Iterator[CopiedPacket]:
        """The packets of another stream, in file order."""
        of = self._stored[index]
        for number, raw in enumerate(of.times):
            time, length = raw * of.unit + self._clock_beside(of, number), of.lengths[number] * of.unit
            if self.first is not None and time < self.first:
                if not of.may_be_cut or time + length <= self.first:
                    continue
                time, length = self.first, time + length - self.first
            if self.stop is None or time < self.stop:
                if of.may_be_cut and self.stop is not None:
                    length = min(length, self.stop - time)
                yield CopiedPacket(time - self.zero, length, of.sums[number])

    def _clock_beside(self, of: _Stored, number: int) -> Fraction:
        """The shift for a packet: that of the frames that it is then closest to."""
        if len(self._clocks) == 1:
            return Fraction(0)
        beside = max(0, of.beside[number])
        clock = self._clock_of[beside]
        picture = (self._decoded[beside] + self._clocks[clock]) * self._unit
        near = [clock * self._unit for clock in self._clocks[max(0, clock - 1) : clock + 2]]
        return min(near, key=lambda added: abs(of.times[number] * of.unit + added - picture))

    def take(self, packet: AnyPacket) -> None:
        """Decode a video packet, or flush the decoder at the end."""
        if packet.size == 0 and packet.dts is not None:
            return  # Theora's repeated picture: nothing to show
        if packet.size:
            if packet.pts is not None:
                self._are_decoding_times &= self._latest is None or packet.pts > self._latest
                self._latest = packet.pts
            time = packet.pts if packet.dts is None else packet.dts
            time = (self._decoded[-1] if self._decoded else 0) if time is None else self._unrolled(time, self._decoded)
            step = (time - self._decoded[-1]) * self._unit if self._decoded else 0
            if step > _LEAP and packet.pos is not None and packet.pos - self._place < step * _LEAST_BYTES:
                self._leaps.add(len(self._decoded))
            self._decoded.append(time)
            self._place = (self._place if packet.pos is None else packet.pos) + packet.size
        try:
            frames = self._context.decode(packet if packet.size else None)
        except av.EOFError:
            return
        except av.FFmpegError:
            self.damaged += 1
            return
        if frames and not self._times:
            self.has_alpha = any(component.is_alpha for component in frames[0].format.components)
        for frame in frames:
            self.side_data.update(frame.side_data)
            if frame.pts is None:
                self._untimed.append(len(self._times))
            before = self._times[-1] if self._times else 0
            self._times.append(before if frame.pts is None else self._unrolled(frame.pts, self._times))
            self._last_length = frame.duration or 0

    def keep(self, packet: AnyPacket, checksum: int) -> None:
        """Store a packet of another stream."""
        of = self._stored[packet.stream_index]
        of.times.append(self._unrolled(packet.pts or 0, of.times))
        of.lengths.append(packet.duration or 0)
        of.sums.append(checksum)
        of.beside.append(len(self._decoded) - 1)

    def _unrolled(self, time: int, before: "array[int]") -> int:
        """``time`` on a clock that does not wrap around."""
        return time - round((time - before[-1]) / _CYCLE) * _CYCLE if self._broadcast and before else time

    def is_past(self, time: Fraction) -> bool:
        """Whether the latest frame is shown later than ``time``, in seconds."""
        return bool(self._times) and not self._untimed and self._times[-1] * self._unit > time

    def end(self, first: Fraction | None, stop: Fraction | None) -> None:
        """End of the file: drop everything outside the section from ``first`` to ``stop``, in seconds."""
        if len(self._untimed) < len(self._times):
            self._fill()
            self._go_on()
        else:
            self._unit = 1 / fraction(self._rate) if self._rate else self._unit
            self._times, self._last_length = array("q", range(len(self._times))), 1
        limits = [bisect_left(self._times, limit / self._unit) for limit in (first, stop) if limit is not None]
        self._begin = limits[0] if first is not None else 0
        self._finish = limits[-1] if stop is not None else len(self._times)
        self.stop = stop
        if first is not None and self._begin < len(self._times):
            self.first = self.zero = self._times[self._begin] * self._unit
        elif not self._broadcast and self._times:
            self.zero = min(self.zero, self._times[0] * self._unit)  # pictures before 0 are to be seen

    def _fill(self) -> None:
        """Give frames of unknown time theirs: at the file's rate before the first known one, evenly after it."""
        untimed = set(self._untimed)
        timed = [number for number in range(len(self._times)) if number not in untimed]
        step = 1 / (fraction(self._rate) * self._unit) if self._rate else Fraction(0)
        for number in self._untimed:
            later = bisect_left(timed, number)
            if 0 < later < len(timed):
                left, right = timed[later - 1], timed[later]
                slope = Fraction(self._times[right] - self._times[left], right - left)
            else:
                left, slope = timed[max(0, later - 1)], step
            self._times[number] = round(self._times[left] + slope * (number - left))

    def _go_on(self) -> None:
        """Put all frames on a continuous clock if the file's clock restarts."""
        least = _NEW_CLOCK / self._unit
        raw, times = self._times, array("q")
        begins = [0]
        for number in range(1, len(raw)):
            following = raw[number + 1] if number + 1 < len(raw) else raw[number]
            back = max(raw[number], following) < raw[number - 1] - least
            leap = min(raw[number], following) > raw[number - 1] + _LEAP / self._unit
            if back or (leap and self._leaps and self._broadcast):
                begins.append(number)
        for begin, end in zip(begins, [*begins[1:], len(raw)], strict=True):
            run = list(raw[begin:end])
            steps_back = sum(later < earlier for earlier, later in pairwise(run))
            if steps_back * _RARELY <= len(run):
                run = list(accumulate(run, max))
            else:
                # The frames are shown in order all the same. If the file has decoding times only, FFmpeg has guessed
                # what they may mean; those of the packets are as the file has them.
                is_whole = len(begins) == 1 and len(run) == len(self._decoded)
                run = sorted(self._decoded if is_whole and self._are_decoding_times else run)
            if begin:
                self._clocks.append(times[-1] + (times[-1] - times[-2] if begin > 1 else 1) - run[0])
            times.extend(time + self._clocks[-1] for time in run)
        self._times = times
        clock = 0
        for number, time in enumerate(self._decoded):
            back = bool(number) and time < self._decoded[number - 1] - least
            if back or (number in self._leaps and self._broadcast):
                clock = min(clock + 1, len(self._clocks) - 1)
            self._clock_of.append(clock)


def read_original(
    container: InputContainer,
    video: VideoStream,
    others: Sequence[Stream],
    *,
    start: Fraction | None,
    end: Fraction | None,
    sum_of: Callable[[AnyPacket], int | None],
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Original:
    """Read the source.

    Args:
        container: The source, freshly opened.
        video: The stream that was encoded.
        others: The streams that were copied.
        start: Start of the section in seconds after the file's beginning; None for the beginning.
        end: End of the section; None for the end.
        sum_of: Returns the checksum of a packet, or None for an empty one.
        progress: Called with 0 and the number of decoded frames.
        cancel: When set, it stops the work.

    Raises:
        CancelledError: ``cancel`` was set.
    """
    origin = Fraction(container.start_time or 0, av.time_base)
    first, stop = (None if limit is None else limit + origin for limit in (start, end))
    # Broadcast clocks start anywhere, and may restart.
    broadcast = not _BROADCAST.isdisjoint(container.format.name.split(","))
    if first is not None and not broadcast and first > _BEFORE:
        container.seek(int((first - _BEFORE) * av.time_base))
    original = Original(video, others, origin if broadcast else Fraction(0), broadcast=broadcast)
    with suppress(av.FFmpegError):  # a file that was cut off ends like this
        for packet in container.demux([video, *others]):
            check_cancelled(cancel)
            if packet.stream.index == video.index:  # that of the last, empty packet is not set otherwise
                original.take(packet)
                if progress:
                    progress(0, original.frames)
                if stop is not None and not broadcast and original.is_past(stop + _AFTER):
                    break
            elif packet.size and packet.pts is not None and (checksum := sum_of(packet)) is not None:
                original.keep(packet, checksum)
    original.end(first, stop)
    return original
