"""What FFmpeg's muxers refuse, in their own words: asked before any work is done, told when it happens after all."""

import errno
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import islice

import av
from av import logging
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.stream import Disposition, Stream

from vs_srcomp.source.index import readable
from vs_srcomp.source.media import open_container

# Some muxers look into packets before they know; a refusal comes with one of the first.
_PACKETS = 8

# Of all streams together, so many packets are read for that: a stream may begin late, or be empty.
_READ = 4000

# Of seconds, the coarsest clock of a container.
_LEAST_STEP = Fraction(1, 1000)

_LAYOUTS = {"1 channels": "mono", "2 channels": "stereo"}


def refusal(muxer: str, stream: Stream) -> str | None:
    """Why ``muxer`` does not take a copy of ``stream``; None if it does.

    A file in memory is written that has nothing but the stream's header and its first packets. Subtitles go without
    packets: their first one may be anywhere in the file.

    Args:
        muxer: FFmpeg's name of it.
        stream: Of an open file, which is opened once more for the packets.
    """
    container = av.open(io.BytesIO(), "w", format=muxer)
    try:
        with words_kept():
            copy = add_copy(container, stream)
            container.start_encoding()
            if stream.type != "subtitle" and not stream.disposition & Disposition.attached_pic:
                _write_packets(container, copy, stream)
            container.close()
    except av.FFmpegError as failure:
        return words(failure)
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
            # Times are not what is asked here: they are put right when all is written. They rise on any clock.
            packet.pts = packet.dts = time
            time += max(packet.duration or 0, math.ceil(_LEAST_STEP / packet.time_base))
            packet.stream = copy  # type: ignore[assignment]
            container.mux(packet)


def add_copy(container: OutputContainer, template: Stream) -> Stream:
    """Add a stream to ``container`` that is a copy of ``template``.

    One or two channels of sound of which nothing is said are mono or stereo, as players take them.

    Raises:
        ValueError: The container has no place for the codec.
    """
    stream = container.add_stream_from_template(template, opaque=True)
    context = stream.codec_context
    if isinstance(context, AudioCodecContext) and context.layout.name in _LAYOUTS:
        context.layout = _LAYOUTS[context.layout.name]
    return stream


@contextmanager
def words_kept() -> Iterator[None]:
    """While the block runs, FFmpeg's errors bring its own words with them; nothing is printed.

    For short blocks only: to log, a thread of a decoder needs the interpreter, whose holder may wait for the thread.
    """
    level = logging.get_level()
    if level is None:
        logging.set_level(logging.PANIC)
    try:
        yield
    finally:
        logging.set_level(level)


def words(failure: av.FFmpegError) -> str:
    """What is wrong: FFmpeg's words, if it has logged any, or else the name of the error."""
    said = failure.log[2].strip().rstrip(".") if failure.log else failure.strerror or str(failure)
    said = said.partition(", add '-")[0]  # advice for FFmpeg's own command line
    return said[:1].lower() + said[1:]


def is_of_file_system(failure: OSError | av.FFmpegError) -> bool:
    """Whether the disk or a permission is at fault, and not what was to be written."""
    return failure.errno in errno.errorcode and failure.errno != errno.EINVAL
