"""Whether a finished file has all that its source has: frames, times, streams, and what describes them."""

import threading
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import av
from av.container import InputContainer
from av.stream import Discard, Stream
from av.video.frame import VideoFrame

from vs_srcomp.source import source
from vs_srcomp.source.decoder import Decoder
from vs_srcomp.source.index import readable
from vs_srcomp.source.media import local_file, open_container, video_stream
from vs_srcomp.source.reader import FrameReader
from vs_srcomp.source.timing import Timing, timing
from vs_srcomp.transcode.containers import ContainerKind, container_for
from vs_srcomp.transcode.copies import AnyPacket, copied_packets
from vs_srcomp.transcode.feed import CancelledError, Progress, later
from vs_srcomp.transcode.finding import Finding
from vs_srcomp.transcode.job import Job
from vs_srcomp.transcode.plan import Plan, describe
from vs_srcomp.transcode.run import section_of
from vs_srcomp.transcode.section import Section
from vs_srcomp.transcode.subtitles import PLAIN_TEXT, as_plain_text, is_timed_text
from vs_srcomp.transcode.times import fraction
from vs_srcomp.transcode.verify_descriptions import (
    compare_attachments,
    compare_chapters,
    compare_file_tags,
    compare_pictures,
    compare_streams,
    is_file,
)

# Streams of packets whose bytes muxers change: those that carry headers in every packet.
_REWRITTEN = {"mpegts", "mpeg", "aac", "flv", "avi"}

# The packets with which MP4 fills the time between two subtitles.
_NO_TEXT = bytes(2)


def verify(job: Job, *, progress: Progress | None = None, cancel: threading.Event | None = None) -> list[Finding]:
    """Compare the finished file of ``job`` with its source.

    The result is read once and all of its pictures are decoded; the source is read, but only two of its pictures are
    decoded. Every frame must be there and be shown at its time, as exactly as the result's container counts (Matroska
    and WebM: 1 ms); every packet of the copied streams must be there, unchanged and in time; streams, chapters,
    attachments, tags, and what tells how the picture is to be shown must be those of the source. Memory is bounded but
    for some 30 bytes a packet.

    Args:
        job: What has been done, with the same options.
        progress: Told the number of decoded frames and of all frames.
        cancel: Stops the work when set.

    Returns:
        What differs. Findings that are no faults tell what container or codec have no place for.

    Raises:
        vs.Error: One of the files cannot be opened.
        CancelledError: ``cancel`` was set.
    """
    kind = container_for(job.target)
    file = local_file(job.source)
    findings: list[Finding] = []
    with open_container(file) as before, open_container(local_file(job.target)) as after:
        pairs, unkept = _pair(before, after, kind, drop_incompatible=job.drop_incompatible)
        clip = source(file, film_grain=job.film_grain == "apply")
        section = section_of(job, clip, before, fraction(video_stream(before, 0).time_base))
        findings += unkept
        findings += compare_streams(pairs, kind)
        findings += compare_attachments(before, after, kind)
        findings += compare_chapters(before, after, section, kind)
        findings += compare_file_tags(before, after, kind)
        codec = video_stream(after, 0).codec_context.codec.canonical_name
        findings += compare_pictures(clip[section.first], source(job.target)[0], codec, kind)
        expected = _expected_frames(file, section, fraction(video_stream(before, 0).time_base))
        seen = _read(after, [target for _, target in pairs], expected, progress, cancel)
        findings += seen.findings
        findings += _compare_packets(before, pairs, section, seen.tracks)
        findings += _compare_duration(after, seen)
    return findings


def _pair(
    before: InputContainer, after: InputContainer, kind: ContainerKind, *, drop_incompatible: bool
) -> tuple[list[tuple[Stream, Stream]], list[Finding]]:
    """The tracks of the source, each with what it has become, the video first; and what is wrong or must be missing."""
    findings = []
    video = video_stream(before, 0)
    wanted: list[Stream] = [video]
    for stream in before.streams:
        if stream == video or is_file(stream) or stream.discard == Discard.all:
            continue
        kept = kind.holds(stream) or (is_timed_text(stream) and kind.holds_codec(PLAIN_TEXT))
        name = f"stream {stream.index} ({describe(stream)})"
        if stream.type == "data":
            findings.append(Finding("streams", f"{name} is left out: it means nothing to players", fault=False))
        elif kept:
            wanted.append(stream)
        else:
            message = f"{name} is left out: {kind.suffix} files cannot hold it"
            findings.append(Finding("streams", message, fault=not drop_incompatible))
    wanted.sort(key=lambda stream: stream.index)
    # MP4 has its chapters in a track of data.
    there = [stream for stream in after.streams if not is_file(stream) and stream.type != "data"]
    if [stream.type for stream in wanted] != [stream.type for stream in there]:
        lists = ("; ".join(map(describe, streams)) or "none" for streams in (there, wanted))
        findings.append(Finding("streams", "there are {}; there should be {}".format(*lists)))
    pairs = [
        pair
        for kind_of_stream in dict.fromkeys(stream.type for stream in (video, *wanted))
        for pair in zip(
            (stream for stream in wanted if stream.type == kind_of_stream),
            (stream for stream in there if stream.type == kind_of_stream),
            strict=False,
        )
    ]
    return pairs, findings


class _Expected(NamedTuple):
    """Of the result's frames."""

    times: Iterator[Fraction]
    """When each is shown, in seconds."""
    frames: int
    last_length: Fraction | None
    """How long the last one is shown, in seconds, if that is known."""


def _expected_frames(file: str, section: Section, time_base: Fraction) -> _Expected:
    clock = timing(FrameReader(Decoder(file, 0, film_grain=False, threads=1)).index)
    times = _expected_times(clock, section, time_base)
    return _Expected(times, section.stop - section.first, clock.length(section.stop - 1))


def _expected_times(clock: Timing, section: Section, time_base: Fraction) -> Iterator[Fraction]:
    zero, last = round(section.zero / time_base), None
    for number in range(section.first, section.stop):
        last = later(round(int(clock.start[number]) * clock.time_base / time_base), last)
        yield (last - zero) * time_base


@dataclass
class _Track:
    """The packets of one stream of the result, in the file's order."""

    tick: Fraction
    """The unit of times, in seconds."""
    times: "array[int]" = field(default_factory=lambda: array("q"))
    lengths: "array[int]" = field(default_factory=lambda: array("q"))
    sums: "array[int]" = field(default_factory=lambda: array("L"))
    """Of the contents."""

    def add(self, packet: AnyPacket) -> None:
        """Note ``packet``."""
        self.times.append(packet.pts or 0)
        self.lengths.append(packet.duration or 0)
        self.sums.append(zlib.crc32(packet))

    def end(self) -> Fraction:
        """When all is over, in seconds; there are packets."""
        return max(map(int.__add__, self.times, self.lengths)) * self.tick


@dataclass
class _Seen:
    """What a reading of the whole result has brought."""

    tracks: dict[int, _Track]
    """By number of the stream."""
    findings: list[Finding]


def _read(
    container: InputContainer,
    streams: list[Stream],
    expected: _Expected,
    progress: Progress | None,
    cancel: threading.Event | None,
) -> _Seen:
    """Read all packets of ``streams``, the first of which is the video, and decode its pictures."""
    tracks = {stream.index: _Track(fraction(stream.time_base)) for stream in streams}
    pictures = _Pictures(expected, tracks[streams[0].index].tick)
    streams[0].codec_context.thread_type = "AUTO"
    packets: Iterable[AnyPacket] = readable(container.demux(streams))  # type: ignore[arg-type, assignment]
    for packet in packets:
        if cancel and cancel.is_set():
            raise CancelledError
        if packet.size and not (is_timed_text(packet.stream) and bytes(packet) == _NO_TEXT):
            tracks[packet.stream_index].add(packet)
        if packet.stream_index == streams[0].index:
            pictures.decode(packet)
            if progress:
                progress(min(pictures.count, expected.frames), expected.frames)
    pictures.findings += _check_last(tracks[streams[0].index], expected.last_length)
    return _Seen(tracks, [*pictures.findings, *pictures.summary()])


def _check_last(track: _Track, wanted: Fraction | None) -> Iterator[Finding]:
    """How long the last frame is shown, which no other frame's time tells."""
    if not track.times or wanted is None:
        return
    last = max(range(len(track.times)), key=track.times.__getitem__)
    if track.lengths[last] == 0:  # Matroska says it of no single frame, but in the file's duration, which is checked
        track.lengths[last] = round(wanted / track.tick)
    length = track.lengths[last] * track.tick
    if abs(length - wanted) > track.tick:
        yield Finding("duration", f"the last frame is shown for {_s(length)}, not for {_s(wanted)}")


class _Pictures:
    """Decodes pictures and compares their times with what they should be."""

    def __init__(self, expected: _Expected, tick: Fraction) -> None:
        self.count = 0
        self.findings: list[Finding] = []
        self._expected = expected
        self._tick = tick
        self._size: tuple[int, int, str] | None = None
        self._late = 0
        self._first_late = ""

    def decode(self, packet: AnyPacket) -> None:
        """Decode what ``packet`` brings."""
        try:
            for frame in packet.decode():
                assert isinstance(frame, VideoFrame)
                self._look_at(frame)
        except av.FFmpegError as reason:
            self._say_once("frames", f"a picture after frame {self.count - 1} cannot be decoded ({reason.strerror})")

    def summary(self) -> Iterator[Finding]:
        """What can only be told at the end."""
        if self.count != self._expected.frames:
            yield Finding("frames", f"there are {self.count}; there should be {self._expected.frames}")
        if self._late:
            yield Finding("timestamps", f"{self._late} are wrong; {self._first_late}")

    def _look_at(self, frame: VideoFrame) -> None:
        number, self.count = self.count, self.count + 1
        if frame.is_corrupt:
            self._say_once("frames", f"frame {number} is damaged")
        size = frame.width, frame.height, frame.format.name
        self._size = self._size or size
        if size != self._size:
            self._say_once("frames", "frame {} is {}x{} {}, those before {}x{} {}".format(number, *size, *self._size))
        wanted = next(self._expected.times, None)
        time = None if frame.pts is None else frame.pts * self._tick
        # The nearest moment on the clock of the container is never further away than half a tick.
        if wanted is not None and (time is None or abs(time - wanted) > self._tick / 2):
            self._late += 1
            shown = "has no time" if time is None else f"is shown at {_s(time)}"
            self._first_late = self._first_late or f"frame {number} {shown}, not at {_s(wanted)}"

    def _say_once(self, subject: str, message: str) -> None:
        """Damage tends to go on; its beginning is enough."""
        if not self.findings:
            self.findings.append(Finding(subject, message))


def _compare_packets(
    before: InputContainer, pairs: list[tuple[Stream, Stream]], section: Section, tracks: dict[int, _Track]
) -> Iterator[Finding]:
    """Compare each packet of the copied streams with what has become of it."""
    video = pairs[0][0]
    targets = {stream.index: target for stream, target in pairs[1:]}
    rewritten = not _REWRITTEN.isdisjoint(before.format.name.split(","))
    counts = dict.fromkeys(targets, 0)
    wrong: dict[int, str] = {}
    plan = Plan(video, tuple(stream for stream, _ in pairs[1:]), ())  # type: ignore[arg-type]
    for packet in copied_packets(before, plan, section):
        stream, target = packet.stream, targets[packet.stream_index]
        if is_timed_text(stream) and not is_timed_text(target):
            packet = as_plain_text(packet)
        if not packet.size or (is_timed_text(stream) and bytes(packet) == _NO_TEXT):
            continue
        number = counts[stream.index]
        counts[stream.index] += 1
        track = tracks[target.index]
        if stream.index in wrong or number >= len(track.times):
            continue
        unit = fraction(packet.time_base)
        time = ((packet.pts or 0) - round(section.zero / unit)) * unit
        there = track.times[number] * track.tick
        length, length_there = (packet.duration or 0) * unit, track.lengths[number] * track.tick
        if abs(there - time) > max(unit, track.tick):
            wrong[stream.index] = f"packet {number} is at {_s(there)}, not at {_s(time)}"
        elif stream.type == "subtitle" and abs(length - length_there) > max(unit, track.tick):
            wrong[stream.index] = f"packet {number}, at {_s(time)}, lasts {_s(length_there)}, not {_s(length)}"
        elif not rewritten and track.sums[number] != zlib.crc32(packet):
            wrong[stream.index] = f"packet {number}, at {_s(time)}, has another content"
    for stream, target in pairs[1:]:
        there_are = len(tracks[target.index].times)
        if there_are != counts[stream.index]:
            wrong[stream.index] = f"there are {there_are} packets; there should be {counts[stream.index]}"
        if stream.index in wrong:
            yield Finding("packets", f"stream {target.index} ({describe(target)}): {wrong[stream.index]}")


def _compare_duration(after: InputContainer, seen: _Seen) -> Iterator[Finding]:
    """What the header says against what is there."""
    tracks = [track for track in seen.tracks.values() if track.times]
    if tracks and after.duration is not None:
        says, is_ = Fraction(after.duration, av.time_base), max(track.end() for track in tracks)
        tolerance = max(Fraction(1, 1000), *(max(track.lengths) * track.tick for track in tracks))
        # Containers count the time before the first packet, and what sound has before and after, or do not.
        if min(abs(says - is_), abs(says + Fraction(after.start_time or 0, av.time_base) - is_)) > tolerance:
            yield Finding("duration", f"the header says {_s(says)}, but the last packet ends at {_s(is_)}")


def _s(seconds: Fraction) -> str:
    return f"{float(seconds):.4f} s"
