"""The plan for each stream of a file, made before any work."""

from dataclasses import dataclass

from av.container import InputContainer
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from vs_srcomp.errors import error
from vs_srcomp.log import log_info
from vs_srcomp.media.containers import ContainerKind
from vs_srcomp.media.muxer_probe import becomes_attachment, holds_codec, why_not
from vs_srcomp.media.subtitles import PLAIN_TEXT, is_timed_text
from vs_srcomp.source.media import tracks, video_stream


@dataclass(frozen=True)
class Plan:
    """The streams of the output, in input order."""

    video: VideoStream
    """The stream to upscale."""
    copied: tuple[Stream, ...]
    """The streams whose packets are copied."""
    attached: tuple[Stream, ...]
    """Attachments, and cover art that becomes an attachment."""

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All planned streams."""
        return tuple(sorted((self.video, *self.copied, *self.attached), key=lambda stream: stream.index))


def make_plan(container: InputContainer, kind: ContainerKind, *, drop_incompatible: bool) -> Plan:
    """Plan the streams of ``container`` for an output of the given container.

    Data streams, such as a camera's telemetry, are always left out: players ignore them, and most containers cannot
    hold them.

    Raises:
        vs.Error: A stream cannot go into the output, and ``drop_incompatible`` is not set.
    """
    video = video_stream(container, 0)
    copied: list[Stream] = []
    attached: list[Stream] = []
    dropped: dict[Stream, str] = {}
    for stream in container.streams:
        if stream == video:
            continue
        if is_part_of_picture(stream):
            log_info(f"{numbered(stream)} is left out: it is a part of a picture, not a film")
        elif stream.type == "data":
            # FFmpeg discards the chapter track of MP4 files, and reads its chapters. Of a timecode track it makes a tag
            # of the video, which goes into the output, and in MP4 becomes such a track again.
            is_tag = "timecode" in stream.metadata and "timecode" in video.metadata
            if stream.discard != Discard.all and not is_tag:
                log_info(f"{numbered(stream)} is left out")
        elif (reason := why_not(kind, stream)) is None:
            (attached if stream.type == "attachment" or becomes_attachment(kind, stream) else copied).append(stream)
            if stream in tracks(container):
                log_info(f"{numbered(stream)} is copied as it is: only the first video track is upscaled")
        elif is_timed_text(stream) and holds_codec(kind, PLAIN_TEXT):
            log_info(f"{numbered(stream)} becomes plain text, without its styles")
            copied.append(stream)
        else:
            dropped[stream] = numbered(stream) + (f": {reason}" if reason else "")
    if dropped and not drop_incompatible:
        raise error(
            f"{kind.suffix} files cannot hold {'; '.join(dropped.values())}",
            "leave such streams out with --drop-incompatible"
            if kind.suffix == ".mkv"
            else "write a .mkv file instead, or leave such streams out with --drop-incompatible",
        )
    for stream in dropped:
        log_info(f"{numbered(stream)} is left out: {kind.suffix} files cannot hold it")
    return Plan(video, tuple(copied), tuple(attached))


def is_part_of_picture(stream: Stream) -> bool:
    """Whether ``stream`` is a picture, tile or alpha plane of a picture file (HEIF, AVIF)."""
    return stream.type == "video" and stream.container.metadata.get("major_brand", "").strip() in _PICTURE_BRANDS


# ISO/IEC 23008-12, 10, and AVIF, 6.
_PICTURE_BRANDS = {"avif", "avis", "mif1", "msf1", "heic", "heix", "hevc", "hevx"}


def describe(stream: Stream) -> str:
    """A stream in messages: ``subtitle, ass, eng``."""
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else stream.name
    return ", ".join(word for word in (stream.type, codec, stream.metadata.get("language")) if word)


def numbered(stream: Stream) -> str:
    """A stream in messages, with its number: ``stream 3 (subtitle, ass, eng)``."""
    return f"stream {stream.index} ({describe(stream)})"
