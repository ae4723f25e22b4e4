"""What containers can hold: FFmpeg's muxers are tried before any work is done, and their messages are kept."""

import errno
import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
from av import logging
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.stream import Disposition, Stream

from vs_srcomp.errors import error
from vs_srcomp.media.containers import ContainerKind
from vs_srcomp.source.index import readable
from vs_srcomp.source.media import open_container

# Some muxers look into packets before they refuse a stream; the first ones are enough.
_PACKETS = 8

# Packets read for that, of all streams: a stream may begin late, or be empty.
_READ = 4000

# Of seconds, the coarsest clock of a container.
_LEAST_STEP = Fraction(1, 1000)

_LAYOUTS = {"1 channels": "mono", "2 channels": "stereo"}


def holds(kind: ContainerKind, stream: Stream) -> bool:
    """Whether a copy of ``stream`` can go into a container of ``kind``."""
    return why_not(kind, stream) is None


def why_not(kind: ContainerKind, stream: Stream) -> str | None:
    """Why a copy of ``stream`` cannot go into a container: the muxer's message, which may be empty; None if it can."""
    if stream.type == "attachment" or becomes_attachment(kind, stream):
        return None if kind.attachments else ""
    if stream.codec_context is None or not holds_codec(kind, stream.codec_context.name):
        return ""
    return try_copy(kind.muxer, stream)


def becomes_attachment(kind: ContainerKind, stream: Stream) -> bool:
    """Whether ``stream`` is cover art that a container of ``kind`` has as an attachment."""
    return kind.attachments and bool(stream.disposition & Disposition.attached_pic)


def holds_codec(kind: ContainerKind, codec: str) -> bool:
    """Whether a stream of the codec that FFmpeg calls ``codec`` can go into a container of ``kind``."""
    return codec in _supported_codecs(kind.muxer)


@cache
def _supported_codecs(muxer: str) -> frozenset[str]:
    # The name is never opened: nothing is written before the header is.
    with av.open("unused", "w", format=muxer) as container:
        return frozenset(container.supported_codecs)


def try_copy(muxer: str, stream: Stream) -> str | None:
    """Why ``muxer`` does not take a copy of ``stream``; None if it does.

    A file in memory is written that has nothing but the stream's header and its first packets. Subtitles go without
    packets: their first one may be anywhere in the file.

    Args:
        muxer: FFmpeg's name of it.
        stream: Of an open file, which is opened once more for the packets.
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
        return message_of(failure)
    except ValueError:  # PyAV's, of a codec that the muxer has no name for
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
            # The times do not matter here, as the real output gets its own. These rise on any clock.
            packet.pts = packet.dts = time
            time += max(packet.duration or 0, math.ceil(_LEAST_STEP / packet.time_base))
            packet.stream = copy  # type: ignore[assignment]
            container.mux(packet)


def add_copy(container: OutputContainer, template: Stream) -> Stream:
    """Add a stream to ``container`` that is a copy of ``template``.

    One or two audio channels without a layout become mono or stereo, as players take them.

    Raises:
        ValueError: The container has no place for the codec.
    """
    stream = container.add_stream_from_template(template, opaque=True)
    context = stream.codec_context
    if isinstance(context, AudioCodecContext) and context.layout.name in _LAYOUTS:
        context.layout = _LAYOUTS[context.layout.name]
    return stream


@contextmanager
def messages_kept() -> Iterator[None]:
    """While the block runs, FFmpeg's errors carry its log messages; nothing is printed.

    For short blocks only: to log, a thread of a decoder needs the interpreter, whose holder may wait for the thread.
    """
    level = logging.get_level()
    if level is None:
        logging.set_level(logging.PANIC)
    try:
        yield
    finally:
        logging.set_level(level)


def message_of(failure: av.FFmpegError) -> str:
    """What is wrong: FFmpeg's message, if it has logged any, or else the name of the error."""
    message = failure.log[2].strip().rstrip(".") if failure.log else failure.strerror or str(failure)
    message = message.partition(", add '-")[0]  # advice for FFmpeg's own command line
    return message[:1].lower() + message[1:]


def is_of_file_system(failure: OSError | av.FFmpegError) -> bool:
    """Whether the disk or a permission is at fault, and not what was to be written."""
    return failure.errno in errno.errorcode and failure.errno != errno.EINVAL


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Turn errors of the file system and of muxers into the package's own, about ``file``."""
    try:
        yield
    except (OSError, av.FFmpegError) as reason:
        if not is_of_file_system(reason):
            raise error(
                f"cannot write {str(file)!r}: {str(reason).lower()}", "try another container or another encoder"
            ) from reason
        raise error(
            f"cannot write {str(file)!r}: {os.strerror(reason.errno or 0).lower()}",
            "check the folder, its permissions and the free space",
        ) from reason
