"""The output file: the encoded video and the copied streams, interleaved by time."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
from av.container import InputContainer, OutputContainer
from av.format import Flags
from av.stream import Stream
from av.video.stream import VideoStream

from vs_srcomp.errors import error
from vs_srcomp.files import is_of_file_system
from vs_srcomp.media.containers import ContainerKind
from vs_srcomp.media.copies import attachment, copied_chapters, copied_packets, file_tags, stream_tags
from vs_srcomp.media.display import display_matrix, display_size, keeps_stereo_mode
from vs_srcomp.media.matroska import SPARE, set_display_size, video_template
from vs_srcomp.media.muxer_errors import messages_kept, muxer_message
from vs_srcomp.media.muxer_probe import add_copy, holds_codec
from vs_srcomp.media.picture import EncodedStream, Picture
from vs_srcomp.media.section import Section
from vs_srcomp.media.streams import Plan, numbered
from vs_srcomp.media.subtitles import PLAIN_TEXT, TIMED_TEXT, AnyPacket, as_plain_text, is_timed_text
from vs_srcomp.media.tags import tags_to_write
from vs_srcomp.source.media import VideoPacket, fraction

# Codecs whose streams have no colour tags, by FFmpeg's names.
_WITHOUT_COLOURS = {"ffv1"}

_TS_NONSTRICT: int = Flags.ts_nonstrict.value  # type: ignore[assignment]  # the stub declares a flag


@dataclass(frozen=True, kw_only=True)
class VideoTrack:
    """The encoded video."""

    picture: Picture
    stream: EncodedStream
    codec_id: str
    """Matroska's name of the codec, for every container."""
    time_base: Fraction
    rate: Fraction | None
    """Frames per second; None if the rate varies."""


class Muxer:
    """Writes a file. A context manager; if its block fails, the unfinished file is left."""

    def __init__(
        self,
        path: Path | None,
        kind: ContainerKind,
        source: InputContainer,
        plan: Plan,
        track: VideoTrack,
        section: Section,
    ) -> None:
        """Add all streams. Nothing is written yet.

        Args:
            path: The file to write; None is a file in memory, for `try_header`.
            kind: Its container.
            source: The file to copy streams from.
            plan: The streams to copy.
            track: The encoded video.
            section: The section of ``source``.
        """
        self._path = path
        self._picture = track.picture
        self._zero = section.zero
        self._container = (
            # Absolute: FFmpeg takes what comes before a colon for a protocol.
            av.open(str(path.absolute()), "w", format=kind.muxer, container_options=_options(kind, track))
            if path
            else av.open(io.BytesIO(), "w", format=kind.muxer)
        )
        self._kind = kind
        self._may_stand_still = bool(self._container.format.flags & _TS_NONSTRICT)
        self._sets_display_size = kind.display_size and track.picture.sample_aspect_ratio != 1
        self._copies: dict[int, Stream] = {}
        for stream in plan.streams:
            if stream is plan.video:
                self._video = self._add_video(plan.video, track)
            elif stream in plan.attached:
                self._container.add_attachment(*attachment(stream))
            else:
                self._copies[stream.index] = _add_copy(self._container, kind, stream)
        self._last: dict[int, int] = {}
        self._container.metadata.update(tags_to_write(file_tags(source), kind))
        self._container.set_chapters(copied_chapters(source, section))
        self._waiting = copied_packets(source, plan, section)
        self._next: AnyPacket | None = None

    def __enter__(self) -> Self:
        """Write the header."""
        try:
            with messages_kept(), self._refused("the header"):
                self._container.start_encoding()
            self._next = next(self._waiting, None)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure:
            with suppress(av.FFmpegError):
                self._container.close()
        else:
            with messages_kept(), self._refused("the end of the file"):
                self._container.close()
            if self._path and self._sets_display_size:
                set_display_size(self._path, *display_size(self._picture, self._stereo_mode))

    def try_header(self) -> None:
        """Write only the header, to check it.

        Raises:
            vs.Error: The muxer refuses it.
        """
        try:
            with messages_kept(), self._refused("the header"):
                self._container.start_encoding()
        finally:
            with suppress(av.FFmpegError):
                self._container.close()

    @contextmanager
    def _refused(self, what: str) -> Iterator[None]:
        """Raise the muxer's error in the package's form; errors of the file system are raised unchanged."""
        try:
            yield
        except av.FFmpegError as failure:
            if is_of_file_system(failure.errno):
                raise
            raise error(
                f"{what} cannot be written into a {self._kind.suffix} file: {muxer_message(failure)}",
                "write a .mkv file" if self._kind.suffix != ".mkv" else "leave the stream out of the source",
            ) from failure

    def write(self, packet: VideoPacket) -> None:
        """Write a packet of the encoded video, after the copied packets that precede it.

        Args:
            packet: A packet with timestamps on the source's clock.
        """
        assert packet.dts is not None
        self._copy_until(packet.dts * fraction(packet.time_base))
        self._place(packet, self._video)
        self._mux(packet, "the video")

    def finish(self) -> None:
        """Write the remaining copied packets."""
        self._copy_until(None)

    def _copy_until(self, time: Fraction | None) -> None:
        while self._next is not None:
            packet = self._next
            if time is not None and packet.dts is not None and packet.dts * fraction(packet.time_base) > time:
                return
            stream = self._copies[packet.stream_index]
            if is_timed_text(packet.stream) and not is_timed_text(stream):
                packet = as_plain_text(packet)
            if packet.size:
                self._place(packet, stream)
                self._make_rise(packet, stream)
                self._mux(packet, numbered(self._next.stream))
            self._next = next(self._waiting, None)

    def _mux(self, packet: AnyPacket | VideoPacket, what: str) -> None:
        with self._refused(what):
            try:
                self._container.mux(packet)
            except av.FFmpegError as failure:
                if not is_of_file_system(failure.errno):
                    with messages_kept():
                        self._container.mux(packet)  # refused again, now with a message
                raise

    def _place(self, packet: AnyPacket | VideoPacket, stream: Stream) -> None:
        """Convert the times of ``packet`` to those of ``stream``, a stream of the output."""
        shift = round(self._zero / fraction(packet.time_base))
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.rescale_ts(stream.time_base)
        packet.stream = stream

    def _make_rise(self, packet: AnyPacket, stream: Stream) -> None:
        """Delay a copied packet whose decoding time does not increase, which muxers refuse.

        ``ffmpeg -c copy`` does the same. Such times come from recordings, and from clocks with a finer resolution than
        that of the output.
        """
        decoded = packet.dts
        if decoded is None and stream.type != "video":  # muxers find the order of video packets themselves
            decoded = packet.pts
        if decoded is None:
            return
        last = self._last.get(stream.index)
        if last is not None:
            decoded = max(decoded, last if self._may_stand_still else last + 1)
        packet.dts = self._last[stream.index] = decoded
        packet.pts = decoded if packet.pts is None else max(packet.pts, decoded)

    def _add_video(self, source: VideoStream, track: VideoTrack) -> VideoStream:
        picture = track.picture
        with video_template(picture, track.codec_id) as template:
            # As for a copied stream: the encoder is not part of this container.
            stream = self._container.add_stream_from_template(template.streams.video[0], opaque=True)
        context = stream.codec_context
        context.extradata = track.stream.header
        if tag := dict(self._kind.codec_tags).get(track.stream.codec):
            context.codec_tag = tag
        context.width, context.height = picture.width, picture.height
        context.sample_aspect_ratio = picture.sample_aspect_ratio
        context.pix_fmt = track.stream.pixel_format
        picture.colour.apply(context)
        if track.rate is not None:
            context.framerate = track.rate
        stream.time_base = track.time_base
        stream.disposition = source.disposition
        stream.set_display_matrix(display_matrix(source))
        stream.metadata.update(stream_tags(source, reencoded=True))
        if "stereo_mode" in stream.metadata and not keeps_stereo_mode(source, self._kind):
            del stream.metadata["stereo_mode"]
        self._stereo_mode = stream.metadata.get("stereo_mode", "")
        if self._sets_display_size:
            stream.metadata["title"] = stream.metadata.get("title", "") + SPARE
        return stream


def _options(kind: ContainerKind, track: VideoTrack) -> dict[str, str]:
    is_in_container_alone = track.stream.codec in _WITHOUT_COLOURS and track.picture.colour.is_tagged
    return dict(kind.options) | dict(kind.colour_options if is_in_container_alone else ())


def _add_copy(container: OutputContainer, kind: ContainerKind, template: Stream) -> Stream:
    if is_timed_text(template) and not holds_codec(kind, TIMED_TEXT):
        stream = container.add_mux_stream(PLAIN_TEXT)
    else:
        stream = add_copy(container, template)
    stream.disposition = template.disposition
    stream.metadata.update(stream_tags(template, reencoded=False))
    return stream
