"""Comparison of a finished file with its source: frames, times, streams and metadata."""

import threading
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Discard, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vs_srcomp.media.containers import ContainerKind, container_for
from vs_srcomp.media.display import keeps_stereo_mode
from vs_srcomp.media.losses import ALPHA, losses_of_video, side_data_losses
from vs_srcomp.media.matroska_extras import matroska_extras
from vs_srcomp.media.muxer_probe import holds, holds_codec
from vs_srcomp.media.section import section_of
from vs_srcomp.media.streams import describe, is_part_of_picture, numbered
from vs_srcomp.media.subtitles import PLAIN_TEXT, AnyPacket, is_timed_text
from vs_srcomp.media.timeline import timeline_of
from vs_srcomp.progress import Progress, check_cancelled
from vs_srcomp.quality.verify.descriptions import (
    compare_attachments,
    compare_chapters,
    compare_file_tags,
    compare_pictures,
    compare_streams,
    is_file,
)
from vs_srcomp.quality.verify.finding import Finding
from vs_srcomp.quality.verify.original import CopiedPacket, Original, read_original
from vs_srcomp.source import source
from vs_srcomp.source.index import readable
from vs_srcomp.source.media import fraction, local_file, open_container, video_stream
from vs_srcomp.transcode.job import Job, encoder_settings

# Codecs with headers in every packet, which muxers change.
_REWRITTEN = {"mpegts", "mpeg", "aac", "flv", "avi"}

# MP4's packets that fill gaps between subtitles.
_NO_TEXT = bytes(2)

# Seconds that a frame may be late for each other frame with the same time in the source.
_CROWDED = Fraction(1, 1000)


def verify(job: Job, *, progress: Progress | None = None, cancel: threading.Event | None = None) -> list[Finding]:
    """Compare the finished file of ``job`` with its source.

    FFmpeg reads both files once and decodes all frames, without the reader and the writer that have made the output;
    what the container cannot hold, and the times that a section should have, come from the same code. Every frame must
    be present at its time, in the resolution of the output's container (Matroska and WebM: 1 ms). Every packet of the
    copied streams must be present, unchanged and at its time. Streams, chapters, attachments, tags, colour and HDR
    metadata must be those of the source. Memory is constant except for some 40 bytes per packet.

    Args:
        job: The finished job, with the same options.
        progress: Called with the number of decoded frames and the number of all frames.
        cancel: When set, it stops the work.

    Returns:
        The differences. Those that are not faults are due to the container or the codec.

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
        unit = fraction(video_stream(before, 0).time_base)
        section = section_of(job.start, job.end, clip, before, lambda: timeline_of(file, unit))
        findings += unkept
        findings += compare_streams(pairs, kind)
        findings += compare_attachments(before, after, kind)
        findings += compare_file_tags(before, after, kind)
        codec = video_stream(after, 0).codec_context.codec.canonical_name
        told = encoder_settings(job).kind.codec
        findings += compare_pictures(clip[section.first], source(job.target)[0], codec, kind, told_codec=told)
        original = _read_original(job, before, pairs, progress, cancel)
        findings += compare_chapters(before, after, original, kind)
        findings += _compare_losses(job, before, after, original, kind)
        original.zero -= _moved_by_muxer(pairs, original)
        streams = [target for _, target in pairs]
        seen = _read(after, streams, original, progress, cancel, rate_varies=not clip.fps.numerator)
        findings += seen.findings
        rewritten = not _REWRITTEN.isdisjoint(before.format.name.split(","))
        for pair in pairs[1:]:
            track = seen.tracks[pair[1].index]
            findings += _compare_packets(pair, list(original.packets(pair[0].index)), track, rewritten=rewritten)
        findings += _compare_duration(after, seen)
    return findings


def _pair(
    before: InputContainer, after: InputContainer, kind: ContainerKind, *, drop_incompatible: bool
) -> tuple[list[tuple[Stream, Stream]], list[Finding]]:
    """The tracks of the source with their counterparts, the video first; and differences, faults or not."""
    findings = []
    video = video_stream(before, 0)
    wanted: list[Stream] = [video]
    for stream in before.streams:
        if stream == video or is_file(stream) or stream.discard == Discard.all:
            continue
        name = numbered(stream)
        if is_part_of_picture(stream):
            findings.append(Finding("streams", f"{name} is left out: it is a part of a picture", fault=False))
            continue
        kept = holds(kind, stream) or (is_timed_text(stream) and holds_codec(kind, PLAIN_TEXT))
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


def _read_original(
    job: Job,
    container: InputContainer,
    pairs: list[tuple[Stream, Stream]],
    progress: Progress | None,
    cancel: threading.Event | None,
) -> Original:
    without_styles = {before.index for before, after in pairs if is_timed_text(before) and not is_timed_text(after)}

    def sum_of(packet: AnyPacket) -> int | None:
        content = bytes(packet)
        if is_timed_text(packet.stream) and content == _NO_TEXT:
            return None
        if packet.stream_index in without_styles:  # 3GPP TS 26.245, 5.17: length, text, boxes with styles
            content = content[2 : 2 + int.from_bytes(content[:2])]
        return zlib.crc32(content)

    video, *others = [before for before, _ in pairs]
    assert isinstance(video, VideoStream)
    return read_original(
        container, video, others, start=job.start, end=job.end, sum_of=sum_of, progress=progress, cancel=cancel
    )


def _moved_by_muxer(pairs: list[tuple[Stream, Stream]], original: Original) -> Fraction:
    """The shift of all streams in seconds: some muxers avoid times below 0."""
    first = next(original.times(), None)
    if first is None:
        return Fraction(0)
    packets = (next(original.packets(before.index), None) for before, _ in pairs[1:])
    earliest = min([first, *(packet.time for packet in packets if packet)])
    after = pairs[0][1]
    tick = fraction(after.time_base)
    by = (after.start_time or 0) * tick - first
    return -earliest if earliest < 0 and abs(by + earliest) <= tick else Fraction(0)


@dataclass
class _Track:
    """The packets of one stream of the result, in file order."""

    tick: Fraction
    """The unit of times, in seconds."""
    times: "array[int]" = field(default_factory=lambda: array("q"))
    lengths: "array[int]" = field(default_factory=lambda: array("q"))
    sums: "array[int]" = field(default_factory=lambda: array("L"))
    """Checksums of the contents."""

    def add(self, packet: AnyPacket) -> None:
        """Store ``packet``."""
        self.times.append(packet.pts or 0)
        self.lengths.append(packet.duration or 0)
        self.sums.append(zlib.crc32(packet))

    @property
    def last_shown(self) -> int:
        """Number of the packet with the latest time; requires packets."""
        return max(range(len(self.times)), key=self.times.__getitem__)

    def set_last_length(self, length: Fraction) -> None:
        """Set the duration of that packet, in seconds."""
        self.lengths[self.last_shown] = round(length / self.tick)

    def end(self) -> Fraction:
        """End of the last packet in seconds; requires packets."""
        return max(map(int.__add__, self.times, self.lengths)) * self.tick

    def begin(self) -> Fraction:
        """Start of the first packet in seconds; requires packets."""
        return min(self.times) * self.tick


@dataclass
class _Seen:
    """The content of the result."""

    tracks: dict[int, _Track]
    """By stream index."""
    findings: list[Finding]


def _read(
    container: InputContainer,
    streams: list[Stream],
    expected: Original,
    progress: Progress | None,
    cancel: threading.Event | None,
    *,
    rate_varies: bool,
) -> _Seen:
    """Read all packets of ``streams``, and decode the first stream, the video, whose rate may vary."""
    tracks = {stream.index: _Track(fraction(stream.time_base)) for stream in streams}
    pictures = _Pictures(expected, tracks[streams[0].index].tick)
    streams[0].codec_context.thread_type = "AUTO"
    packets: Iterable[AnyPacket] = readable(container.demux(streams))  # type: ignore[arg-type, assignment]
    for packet in packets:
        check_cancelled(cancel)
        if packet.size and not (is_timed_text(packet.stream) and bytes(packet) == _NO_TEXT):
            tracks[packet.stream_index].add(packet)
        if packet.stream.index == streams[0].index:  # that of the last, empty packet is not set otherwise
            pictures.decode(packet)
            if progress:
                progress(min(pictures.count, expected.frames), expected.frames)
    track = tracks[streams[0].index]
    if not rate_varies or _states_last_length(container, track):
        pictures.findings += _check_last(track, expected.last_length)
    elif track.times and expected.last_length is not None:
        track.set_last_length(expected.last_length)
    if expected.damaged:
        message = f"{expected.damaged} packets of the source cannot be decoded: what they would show is missing"
        pictures.findings.append(Finding("frames", message))
    return _Seen(tracks, [*pictures.findings, *pictures.summary()])


def _states_last_length(container: InputContainer, track: _Track) -> bool:
    """Whether the packets of a video whose rate varies state the duration of the last frame.

    Without a default duration of frames, Matroska has it only in the file's duration, which is checked; FFmpeg guesses,
    even from timing in the stream. MP4 has differences of decoding times, which tell it only of the packet at the end.
    """
    return "matroska" not in container.format.name and track.last_shown == len(track.times) - 1


def _check_last(track: _Track, wanted: Fraction | None) -> Iterator[Finding]:
    """Compare the duration of the last frame, which no other timestamp gives."""
    if not track.times or wanted is None:
        return
    if track.lengths[track.last_shown] == 0:
        track.set_last_length(wanted)
    length = track.lengths[track.last_shown] * track.tick
    if abs(length - wanted) > track.tick:
        yield Finding("duration", f"the last frame is shown for {_s(length)}, not for {_s(wanted)}")


class _Pictures:
    """Decodes frames, and compares their times with the expected ones."""

    def __init__(self, expected: Original, tick: Fraction) -> None:
        self.count = 0
        self.findings: list[Finding] = []
        self._expected = expected.frames
        self._times = expected.times()
        self._latest: Fraction | None = None
        self._crowd = 0
        self._tick = tick
        self._size: tuple[int, int, str] | None = None
        self._late = 0
        self._first_late = ""

    def decode(self, packet: AnyPacket) -> None:
        """Decode ``packet``."""
        try:
            for frame in packet.decode():
                assert isinstance(frame, VideoFrame)
                self._look_at(frame)
        except av.FFmpegError as reason:
            self._report_once("frames", f"a picture after frame {self.count - 1} cannot be decoded ({reason.strerror})")

    def summary(self) -> Iterator[Finding]:
        """Differences that are known only at the end."""
        if self.count != self._expected:
            yield Finding("frames", f"there are {self.count}; there should be {self._expected}")
        if self._late:
            yield Finding("timestamps", f"{self._late} are wrong; {self._first_late}")

    def _look_at(self, frame: VideoFrame) -> None:
        number, self.count = self.count, self.count + 1
        if frame.is_corrupt:
            self._report_once("frames", f"frame {number} is damaged")
        size = frame.width, frame.height, frame.format.name
        self._size = self._size or size
        if size != self._size:
            self._report_once(
                "frames", "frame {} is {}x{} {}, those before {}x{} {}".format(number, *size, *self._size)
            )
        wanted = next(self._times, None)
        time = None if frame.pts is None else frame.pts * self._tick
        if wanted is None:
            return
        # Frames with the same time are spread as closely as every container allows.
        self._crowd = self._crowd + 1 if self._latest is not None and wanted <= self._latest else 0
        self._latest = wanted = wanted if self._latest is None else max(wanted, self._latest)
        # Rounding to the container's clock moves a time by at most half a tick.
        tolerance = self._tick / 2 + self._crowd * _CROWDED
        if time is None or abs(time - wanted) > tolerance:
            self._late += 1
            shown = "has no time" if time is None else f"is shown at {_s(time)}"
            self._first_late = self._first_late or f"frame {number} {shown}, not at {_s(wanted)}"

    def _report_once(self, subject: str, message: str) -> None:
        """Report only the first damage: it tends to continue."""
        if not self.findings:
            self.findings.append(Finding(subject, message))


def _compare_losses(
    job: Job, before: InputContainer, after: InputContainer, original: Original, kind: ContainerKind
) -> Iterator[Finding]:
    """Content of the source that the result cannot store."""
    video = video_stream(before, 0)
    lost = losses_of_video(local_file(job.source), kind)
    lost += list(side_data_losses(original.side_data, stereo_mode_is_kept=keeps_stereo_mode(video, kind)))
    if original.has_alpha or video.metadata.get("alpha_mode") == "1":
        lost.append(ALPHA)
        if "alpha_mode" in {name.lower() for name in video_stream(after, 0).metadata}:
            yield Finding("picture", "the file declares an alpha channel, but has none")
    lost += sorted(matroska_extras(job.source) - matroska_extras(job.target))
    yield from (Finding("losses", message, fault=False) for message in dict.fromkeys(lost))


def _compare_packets(
    pair: tuple[Stream, Stream], wanted: list[CopiedPacket], there: _Track, *, rewritten: bool
) -> Iterator[Finding]:
    """Compare the packets of a copied stream."""
    stream, target = pair
    wrong = ""
    if len(there.times) != len(wanted):
        wrong = f"there are {len(there.times)} packets; there should be {len(wanted)}"
    tolerance = max(fraction(stream.time_base), there.tick)
    latest: Fraction | None = None
    for number, packet in enumerate(wanted[: len(there.times)]):
        if wrong:
            break
        time, length = there.times[number] * there.tick, there.lengths[number] * there.tick
        # Packets whose times step back are delayed, as muxers require; in video, times step back all the time.
        due = packet.time if latest is None or stream.type == "video" else max(packet.time, latest)
        latest = time
        if abs(time - packet.time) > tolerance and abs(time - due) > tolerance:
            wrong = f"packet {number} is at {_s(time)}, not at {_s(packet.time)}"
        elif stream.type == "subtitle" and abs(length - packet.length) > tolerance:
            wrong = f"packet {number}, at {_s(packet.time)}, lasts {_s(length)}, not {_s(packet.length)}"
        elif not rewritten and there.sums[number] != packet.sum:
            wrong = f"packet {number}, at {_s(packet.time)}, has another content"
    if wrong:
        yield Finding("packets", f"{numbered(target)}: {wrong}")


def _compare_duration(after: InputContainer, seen: _Seen) -> Iterator[Finding]:
    """Compare the duration in the header with that of the packets."""
    tracks = [track for track in seen.tracks.values() if track.times]
    if tracks and after.duration is not None:
        stated, is_ = Fraction(after.duration, av.time_base), max(track.end() for track in tracks)
        tolerance = max(Fraction(1, 1000), *(max(track.lengths) * track.tick for track in tracks))
        # Containers may or may not count the time before the first packet, and audio padding.
        begin = min(track.begin() for track in tracks)
        if min(abs(stated - is_), abs(stated + begin - is_)) > tolerance:
            yield Finding("duration", f"the header has {_s(stated)}, but the last packet ends at {_s(is_)}")


def _s(seconds: Fraction) -> str:
    return f"{float(seconds):.4f} s"
