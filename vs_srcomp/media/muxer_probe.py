"""Test what a container can hold, before any work, by trying FFmpeg's muxer."""

import io
import math
from contextlib import suppress
from fractions import Fraction
from functools import cache
from itertools import islice

import av
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.stream import Disposition, Stream

from vs_srcomp.media.containers import ContainerKind
from vs_srcomp.media.muxer_errors import messages_kept, muxer_message
from vs_srcomp.source.index import readable
from vs_srcomp.source.media import open_container

# Number of packets to try: some muxers refuse a stream only when they see packets.
_PACKETS = 8

# Number of packets of all streams to read for that: a stream may begin late, or be empty.
_READ = 4000

# Coarsest clock of all containers, in seconds.
_LEAST_STEP = Fraction(1, 1000)

_LAYOUTS = {"1 channels": "mono", "2 channels": "stereo"}


def holds(kind: ContainerKind, stream: Stream) -> bool:
    """Whether a copy of ``stream`` can go into a container of ``kind``."""
    return why_not(kind, stream) is None


def why_not(kind: ContainerKind, stream: Stream) -> str | None:
    """The muxer's message, perhaps empty, if a copy of ``stream`` cannot go into a container; None if it can."""
    if stream.type == "attachment" or becomes_attachment(kind, stream):
        return None if kind.attachments else ""
    if stream.codec_context is None or not holds_codec(kind, stream.codec_context.name):
        return ""
    return try_copy(kind.muxer, stream)


def becomes_attachment(kind: ContainerKind, stream: Stream) -> bool:
    """Whether ``stream`` is cover art that a container of ``kind`` stores as an attachment."""
    return kind.attachments and bool(stream.disposition & Disposition.attached_pic)


def holds_codec(kind: ContainerKind, codec: str) -> bool:
    """Whether a container of ``kind`` can hold ``codec``, by FFmpeg's name."""
    return codec in _supported_codecs(kind.muxer)


@cache
def _supported_codecs(muxer: str) -> frozenset[str]:
    # The file is never opened: nothing is written before the header.
    with av.open("unused", "w", format=muxer) as container:
        return frozenset(container.supported_codecs)


def try_copy(muxer: str, stream: Stream) -> str | None:
    """Why ``muxer`` refuses a copy of ``stream``; None if it accepts it.

    The stream's header and its first packets are written to a file in memory. Subtitles are tried without packets,
    because their first one may be anywhere in the file.

    Args:
        muxer: FFmpeg's name of the muxer.
        stream: A stream of an open file, which is opened once more for its packets.
    """
    container = av.open(io.BytesIO(), "w", format=muxer)
    try:
        with messages_kept():
            copy = add_copy(container, stream)
            container.start_encoding()
            if stream.type != "subtitle" and not stream.disposition & Disposition.attached_pic:
                _write_packets(container, copy, stream)
            container.close()
    except av.FFmpegError as failure:
        return muxer_message(failure)
    except ValueError:  # PyAV's error for a codec that the muxer has no tag for
        return "it has no place for this codec"
    finally:
        with suppress(av.FFmpegError):
            container.close()
    return None


def _write_packets(container: OutputContainer, copy: Stream, stream: Stream) -> None:
    with open_container(stream.container.name) as again:
        own = (packet for packet in islice(readable(again.demux()), _READ) if packet.stream_index == stream.index)  # type: ignore[arg-type]
        time = 0
        for packet in islice((packet for packet in own if packet.size), _PACKETS):
            # Any rising times will do here.
            packet.pts = packet.dts = time
            time += max(packet.duration or 0, math.ceil(_LEAST_STEP / packet.time_base))
            packet.stream = copy  # type: ignore[assignment]
            container.mux(packet)


def add_copy(container: OutputContainer, template: Stream) -> Stream:
    """Add a stream to ``container`` with the parameters of ``template``.

    One or two audio channels without a layout become mono or stereo, as players assume.

    Raises:
        ValueError: The container has no place for the codec.
    """
    stream = container.add_stream_from_template(template, opaque=True)
    context = stream.codec_context
    if isinstance(context, AudioCodecContext) and context.layout.name in _LAYOUTS:
        context.layout = _LAYOUTS[context.layout.name]
    return stream
