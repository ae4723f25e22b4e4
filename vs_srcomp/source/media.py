"""Opening a local file: its container, the wanted video stream and its facts, and a decoder for it."""

import os
import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

import av
import vapoursynth as vs
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vs_srcomp.errors import error
from vs_srcomp.files import cannot_read
from vs_srcomp.named_files import address_in, file_named

type VideoPacket = Packet[VideoStream]


class Rational(Protocol):
    """The common interface of PyAV's rationals and Python's fractions."""

    @property
    def numerator(self) -> int:
        """Above the line."""

    @property
    def denominator(self) -> int:
        """Below the line, not 0."""


def fraction(value: Rational) -> Fraction:
    """``value`` as a `Fraction`."""
    return Fraction(value.numerator, value.denominator)


# HLS, FFmpeg's concat scripts and SDP, whose demuxers open the files or addresses that they name.
_PLAYLIST_HEADS = (b"#EXTM3U", b"ffconcat", b"v=0")


# How Matroska's writers state the end of a track.
_DURATION_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)$")

# FFmpeg's AVFieldOrder of codecs whose streams do not state it: DV has the bottom field first.
_USUAL_ORDER = {"dvvideo": 3}

# Pictures beside the video
_BESIDE = Disposition.attached_pic | Disposition.timed_thumbnails

# Containers without a pixel aspect ratio: there the codec's headers have it, and may change it during the stream.
_WITHOUT_PIXEL_SHAPE = {"mpegts", "mpeg", "mpegvideo", "m4v", "h264", "hevc", "vvc", "vc1", "cavsvideo", "dirac"}

# After a flush, FFmpeg's decoders of these codecs, which are one, bring wrong pictures at random if several threads
# decode several frames. Of all other decoders that a test has an encoder for, none does so.
_WITHOUT_FRAME_THREADS = {"theora", "vp3", "vp4"}

# Least number of frames in dav1d: with fewer, its threads wait when a packet is late.
_FRAMES_UNDER_WAY = 4


@dataclass(frozen=True, slots=True)
class Cropping:
    """How many rows and columns of the decoded picture the container wants left out (Matroska's PixelCrop, MP4's clap).

    Encoders code whole blocks, and editors hide what they need not encode again.
    """

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Facts about a stream, from the container or the codec's headers.

    Attributes:
        sample_aspect_ratio: Width to height of a pixel, or None.
        codec_tells_pixel_shape: Whether only the codec has it, so that it may differ from frame to frame.
        display_matrix: Rotation and flip for display (ISO/IEC 14496-12, 8.5.2), or None.
        field_order: FFmpeg's AVFieldOrder; 0 where unknown.
        cropping: Rows and columns to crop.
        is_tile: Whether it is a tile of a picture (see `vs_srcomp.source.grid`).
        begin: Start of the file in seconds.
        stated_end: End of the stream in seconds after ``begin``, as the container states it, or that of the whole file
            where it does not state the stream's; 0 where unknown.
    """

    sample_aspect_ratio: Fraction | None
    codec_tells_pixel_shape: bool
    display_matrix: bytes | None
    field_order: int
    cropping: Cropping
    is_tile: bool
    begin: Fraction
    stated_end: Fraction


def stream_info(stream: VideoStream) -> StreamInfo:
    """Facts about ``stream``; there are few if FFmpeg has no decoder for it."""
    ratio = stream.sample_aspect_ratio
    context = stream.codec_context
    return StreamInfo(
        fraction(ratio) if ratio else None,
        not _WITHOUT_PIXEL_SHAPE.isdisjoint(stream.container.format.name.split(",")),
        context.coded_side_data.get("display_matrix") if context else None,
        (context.field_order or _USUAL_ORDER.get(context.name, 0)) if context else 0,
        cropping_of(stream),
        _is_tile(stream),
        *_stated_times(stream),
    )


def _stated_times(stream: VideoStream) -> tuple[Fraction, Fraction]:
    """Where the file begins, and where ``stream`` ends after that, in seconds.

    What Matroska states is the time of the end, in files that FFmpeg writes.
    """
    container = stream.container
    assert isinstance(container, InputContainer)
    begin = Fraction(container.start_time or 0, av.time_base)
    if stream.duration and stream.time_base:
        return begin, stream.duration * fraction(stream.time_base)
    if match := _DURATION_TAG.match(stream.metadata.get("DURATION", "")):  # Matroska
        return begin, int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3]) - begin
    whole = Fraction(container.duration or 0, av.time_base)
    return begin, whole - begin if "matroska" in container.format.name else whole


def _is_tile(stream: VideoStream) -> bool:
    return stream.frames == 1 and bool(stream.disposition & Disposition.dependent)


def _is_still(stream: VideoStream) -> bool:
    return stream.frames == 1 or bool(stream.disposition & Disposition.still_image)


def cropping_of(stream: VideoStream) -> Cropping:
    """The container's cropping of ``stream``."""
    data = stream.codec_context.coded_side_data.get("frame_cropping") if stream.codec_context else None
    # FFmpeg's AV_PKT_DATA_FRAME_CROPPING
    return Cropping(*struct.unpack_from("<4I", data)) if data and len(data) >= 16 else Cropping()


def local_file(path: str | os.PathLike[str]) -> str:
    """The absolute path of a regular, non-empty file; anything else is an error.

    ``path`` may be a URL such as ``file:///films/in.mkv``. FFmpeg never takes an absolute path for one of its
    protocols.
    """
    name = file_named(os.fsdecode(path))
    if address := address_in(name):
        raise error(f"{address!r} is an address, not a file", "download it first: only local files are read")
    file = Path(name)
    try:
        if not S_ISREG(file.stat().st_mode):
            raise error(f"{name!r} is not a regular file", "give the path of a video file")
        with file.open("rb") as opened:
            head = opened.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"{name!r} does not exist", "check the path") from None
    except OSError as reason:
        raise cannot_read(name, reason) from reason
    if not head:
        raise error(f"{name!r} is empty", "give a file that is whole")
    if head.startswith(_PLAYLIST_HEADS):
        raise error(f"{name!r} is a playlist", "give the path of one of the files it names")
    return str(file.absolute())


def no_picture(file: str) -> vs.Error:
    """The error about a video of which nothing can be shown."""
    return error(f"{file!r} has no picture that can be decoded", "check that it is neither damaged nor encrypted")


def open_container(file: str) -> InputContainer:
    """Open ``file`` and read its headers. Of further resources that it names, only files are opened."""
    try:
        container = av.open(file, options={"protocol_whitelist": "file,crypto,data"})
    except (FileNotFoundError, PermissionError) as reason:  # since it was checked
        raise cannot_read(file, reason) from reason
    except av.FFmpegError as cause:
        raise error(
            f"{file!r} cannot be opened ({cause.strerror or cause})",
            "check that it is a video file, and neither damaged nor encrypted",
        ) from cause
    if container.format.name == "tty":  # FFmpeg draws text files on a terminal
        container.close()
        raise error(f"{file!r} is a text file", "give the path of a video file")
    return container


def video_stream(container: InputContainer, track: int) -> VideoStream:
    """The video stream number ``track`` of `tracks`, counted from 0."""
    streams = tracks(container)
    if not streams:
        raise error(f"{container.name!r} has no video track", "give a file with a video track")
    if not 0 <= track < len(streams):
        raise error(
            f"track {track} does not exist in {container.name!r}", f"choose a track from 0 to {len(streams) - 1}"
        )
    return streams[track]


def tracks(container: InputContainer) -> list[VideoStream]:
    """The video streams by number.

    Cover art and thumbnails are left out, and single pictures come after videos: an animated AVIF file also has its
    first frame as a picture, and some files have cover art without its flag. For a picture in tiles, these are all
    tiles, in file order.
    """
    streams = [s for s in container.streams.video if not s.disposition & _BESIDE]
    tiles = [s for s in streams if _is_tile(s)]
    whole = [s for s in streams if s not in tiles]
    if tiles and not any(s.disposition & Disposition.default for s in whole):
        return tiles
    return sorted(whole, key=_is_still)


def codec_of(stream: VideoStream) -> str:
    """FFmpeg's name of the codec. A stream for which FFmpeg has no decoder is tried as AV1 (see `decoder_for`)."""
    return stream.codec_context.codec.canonical_name if stream.codec_context else "av1"


def extradata_of(stream: VideoStream) -> bytes:
    """The codec's header from the container; empty where there is none."""
    return (stream.codec_context and stream.codec_context.extradata) or b""


def decoder_for(stream: VideoStream, *, film_grain: bool, threads: int) -> VideoCodecContext:
    """A decoder for ``stream``, not opened yet; it belongs to the stream's container.

    Args:
        stream: The stream to decode.
        film_grain: Whether the decoder adds the film grain. If not, it describes it in each frame's side data.
        threads: Number of threads, 0 for FFmpeg's own choice. With 1, each packet is decoded before the next.
    """
    # FFmpeg finds no decoder for some tags, such as "dav1", which is Dolby Vision over plain AV1. Such a
    # stream has no context, and everything that AV1 needs is in its packets.
    context = stream.codec_context or av.CodecContext.create("libdav1d", "r")
    if not isinstance(context, VideoCodecContext):
        raise error("the video track has no decoder", "convert the file to a usual codec")
    context.thread_type = "SLICE" if context.name in _WITHOUT_FRAME_THREADS else "AUTO"
    context.thread_count = threads
    options = {} if film_grain else {"export_side_data": "film_grain"}
    if context.name == "libdav1d" and threads > 1:
        # dav1d's default is the square root of its threads.
        options["max_frame_delay"] = str(max(_FRAMES_UNDER_WAY, isqrt(threads)))
    context.options = options
    return context
