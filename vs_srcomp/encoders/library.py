"""Encoding with FFmpeg's libraries."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import vapoursynth as vs
from av import logging
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from vs_srcomp.encoders.settings import SVT_AV1, EncoderKind, EncoderSettings
from vs_srcomp.errors import error
from vs_srcomp.log import log_info
from vs_srcomp.media.hdr import content_light, mastering_in_decimals, mastering_in_units
from vs_srcomp.media.picture import EncodedStream, Picture
from vs_srcomp.memory import check_memory
from vs_srcomp.processor import ordinary_threads
from vs_srcomp.source.media import VideoPacket

# SVT-AV1 refuses other rates. Only rate control depends on the rate; timestamps do not.
SLOWEST, FASTEST = Fraction(1), Fraction(240)


def encodable(clip: vs.VideoNode, kind: EncoderKind = SVT_AV1, source: vs.VideoNode | None = None) -> vs.VideoNode:
    """The clip in a format that the encoder takes: the same number of bits, or the next higher one.

    Chroma keeps its subsampling if the encoder takes it, and becomes 4:2:0 if not. It keeps its location if streams of
    the codec can state it, and is moved to the left if not: players take it to be there.

    Args:
        clip: The clip.
        kind: The encoder.
        source: What ``clip`` was made of, with the same properties, if its frames cost less.

    Raises:
        vs.Error: It is RGB, or too large for the encoder or for this computer's memory.
    """
    format_ = clip.format
    if format_.color_family == vs.RGB:
        raise error(
            f"the video is RGB ({format_.name}), which is not upscaled",
            "convert it first: ffmpeg -i IN -vf scale=out_color_matrix=bt709,format=yuv444p,setparams=colorspace=bt709 "
            "-c:v ffv1 yuv.mkv",
        )
    if kind.largest and (clip.width > kind.largest[0] or clip.height > kind.largest[1]):
        raise error(
            f"{kind.title} takes pictures up to {'{}x{}'.format(*kind.largest)}, not {clip.width}x{clip.height}",
            "give a smaller size, or take another encoder",
        )
    at_once, each, ahead = kind.memory
    check_memory(
        f"{clip.width}x{clip.height} in {kind.title}",
        clip.width * clip.height * (at_once + each * min(ahead, clip.num_frames)),
        "give a smaller size, or take another encoder",
    )
    bits = next((depth for depth in kind.depths if depth >= format_.bits_per_sample), kind.depths[-1])
    subsampling = format_.subsampling_w, format_.subsampling_h
    if format_.color_family == vs.GRAY or subsampling not in kind.subsamplings:
        subsampling = kind.subsamplings[0]
    wanted = vs.core.query_video_format(vs.YUV, vs.INTEGER, bits, *subsampling)
    is_moved = not _states_location(clip if source is None else source, kind, subsampling)
    if wanted.id == format_.id and not is_moved:
        return clip
    if is_moved:
        log_info(f"chroma is moved to the left, where players take it to be: {kind.title} cannot record its place")
    if wanted.id != format_.id:
        log_info(f"{format_.name} is converted to {wanted.name}: {kind.title} takes {_formats(kind)} only")
    if clip.width % (1 << subsampling[0]) or clip.height % (1 << subsampling[1]):
        clip = clip.std.Crop(right=clip.width % (1 << subsampling[0]), bottom=clip.height % (1 << subsampling[1]))
        log_info(f"the picture is cropped to {clip.width}x{clip.height}, which {_CHROMA[subsampling]} can hold")
    asked = {"chromaloc_s": "left"} if is_moved else {}
    if format_.color_family == vs.GRAY and is_full_range(clip if source is None else source):
        asked["range_s"] = "full"  # Colours made of grey would have limited range.
    made = clip.resize.Bicubic(format=wanted.id, dither_type="error_diffusion", **asked)
    # Resizing replaces unknown properties by guesses. That of a new location is none.
    is_new = is_moved or (format_.color_family == vs.YUV and not _is_subsampled(format_))
    return made.std.CopyFrameProps(clip, props=_COLOUR if is_new else [*_COLOUR, _LOCATION])


_COLOUR, _LOCATION = ["_Matrix", "_Primaries", "_Transfer", "_Range"], "_ChromaLocation"

# In 4:2:2, where chroma is as high as luma, all are the same.
_LEFT = frozenset({vs.CHROMA_LEFT, vs.CHROMA_TOP_LEFT, vs.CHROMA_BOTTOM_LEFT})

# What streams can state, or what players assume of them, by codec and subsampling (AV1 specification, 6.4.2; ITU-T
# H.264 and H.265, E.2.1). FFV1 keeps chroma as it is: it is for archives, and Matroska states the location.
_STATED = {
    ("av1", (1, 1)): frozenset({vs.CHROMA_LEFT, vs.CHROMA_TOP_LEFT}),
    ("h264", (1, 0)): _LEFT,
    ("hevc", (1, 0)): _LEFT,
}


def is_full_range(clip: vs.VideoNode) -> bool:
    """Whether the first frame of ``clip`` has full range."""
    with clip.get_frame(0) as frame:
        return bool(frame.props.get("_Range") == vs.RANGE_FULL)


def _states_location(clip: vs.VideoNode, kind: EncoderKind, subsampling: tuple[int, int]) -> bool:
    """Whether a stream in this ``subsampling`` can state the location that the chroma of ``clip`` has.

    Beside AV1, Matroska and WebM could state it. But not all players read it there, and copies into MP4 lose it.
    """
    stated = _STATED.get((kind.codec, subsampling))
    if stated is None or not _is_subsampled(clip.format):
        return True
    with clip.get_frame(0) as frame:  # which decides on all tags of the output
        return frame.props.get(_LOCATION, vs.CHROMA_LEFT) in stated


def _is_subsampled(format_: vs.VideoFormat) -> bool:
    return bool(format_.subsampling_w or format_.subsampling_h)


_CHROMA = {(1, 1): "4:2:0", (1, 0): "4:2:2", (0, 0): "4:4:4"}


def _formats(kind: EncoderKind) -> str:
    chroma = [_CHROMA[subsampling] for subsampling in kind.subsamplings]
    return " in ".join(_either(words) for words in (chroma, [str(depth) for depth in kind.depths])) + " bits"


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


class Encoder:
    """An encoder of FFmpeg's libraries."""

    def __init__(
        self,
        picture: Picture,
        settings: EncoderSettings,
        time_base: Fraction,
        rate: Fraction | None,
        *,
        threads: int = 0,
    ) -> None:
        """Start the encoder.

        Args:
            picture: Format of the frames.
            settings: Settings of the encoder.
            time_base: Unit of timestamps, in seconds.
            rate: Frames per second, for rate control only.
            threads: Number of processors to use, about; 0 for all. The packets do not depend on it.

        Raises:
            vs.Error: The encoder refuses the picture or the settings.
        """
        kind = settings.kind
        context = av.CodecContext.create(kind.library, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = picture.width, picture.height
        context.pix_fmt = picture.pixel_format
        context.time_base = time_base
        context.framerate = min(max(rate or Fraction(25), SLOWEST), FASTEST)
        context.sample_aspect_ratio = Fraction(1) if kind.square_pixels else picture.sample_aspect_ratio
        picture.colour.apply(context)
        context.thread_count = kind.threads or threads
        context.flags |= Flags.global_header
        context.options = settings.ffmpeg_options(dict(_metadata(picture, kind)) | _parallelism(kind, threads))
        _open(context, kind)
        self._context = context
        self._kind = kind
        self._durations: dict[int, int] = {}

    @property
    def stream(self) -> EncodedStream:
        """The encoded stream."""
        context = self._context
        return EncodedStream(
            codec=self._kind.codec, header=context.extradata or b"", pixel_format=context.pix_fmt or ""
        )

    def encode(self, frame: vs.VideoFrame, timestamp: int, duration: int) -> Iterator[VideoPacket]:
        """Encode ``frame``, and yield the packets that are ready.

        Args:
            frame: The next frame.
            timestamp: Its timestamp in units of the time base, later than that of the previous frame.
            duration: Its duration in the same unit; 0 if unknown.
        """
        copy = VideoFrame(frame.width, frame.height, self._context.pix_fmt or "")
        for number, plane in enumerate(copy.planes):
            samples = np.asarray(frame[number])
            rows = np.frombuffer(plane, samples.dtype).reshape(plane.height, -1)
            np.copyto(rows[:, : plane.width], samples)
        copy.pts = timestamp
        copy.time_base = self._context.time_base
        self._durations[timestamp] = duration
        yield from self._timed(copy)

    def finish(self) -> Iterator[VideoPacket]:
        """Yield the remaining packets. No frame can follow."""
        yield from self._timed(None)

    def abandon(self) -> None:
        """Do nothing: no thread waits for a packet."""

    def _timed(self, frame: VideoFrame | None) -> Iterator[VideoPacket]:
        try:
            for packet in self._context.encode_lazy(frame):
                # Encoders do not keep durations, and the last frame's is not known from a later timestamp.
                packet.duration = self._durations.pop(packet.pts or 0)
                yield packet
        except av.FFmpegError as reason:
            raise error(f"{self._kind.title} failed: {reason.strerror}", _advice(self._kind)) from reason


def _open(context: VideoCodecContext, kind: EncoderKind) -> None:
    """Start the encoder. Unknown settings are errors here; FFmpeg only warns."""
    given = dict(context.options)
    level, skips = logging.get_level(), logging.get_skip_repeated()
    logging.set_level(logging.WARNING)
    # What was wrong with the encoder before is wrong again.
    logging.set_skip_repeated(False)
    try:
        with logging.Capture() as messages, ordinary_threads():
            context.open()
    except av.FFmpegError as reason:
        settings = ", ".join(f"{name}={value}" for name, value in given.items())
        if (context.width, context.height) == _TRIAL:
            raise error(f"{kind.title} refuses {settings}", _advice(kind, "the settings")) from reason
        raise error(
            f"{kind.title} refuses to encode {context.width}x{context.height} with {settings}", _advice(kind)
        ) from reason
    finally:
        logging.set_level(level)
        logging.set_skip_repeated(skips)
    for _, _, message in messages:
        if message.startswith(("Error parsing option", "Unknown option", "Invalid value for")):
            raise error(f"{kind.title}: {message.strip().rstrip('.').lower()}", _advice(kind, "the settings"))
    if context.options:  # those that nothing has taken
        raise error(
            f"{kind.title}: there is no option {', '.join(map(repr, sorted(context.options)))}",
            f"use those of the list that 'ffmpeg -h encoder={kind.library}' prints",
        )


def check_settings(settings: EncoderSettings) -> None:
    """Check settings by starting the encoder with a small picture.

    Raises:
        vs.Error: The encoder does not support the settings, or not in combination.
    """
    kind = settings.kind
    context = av.CodecContext.create(kind.library, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = *_TRIAL, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.thread_count = 1
    context.options = settings.ffmpeg_options(_parallelism(kind, 1))
    _open(context, kind)


# Small, but a size that every encoder takes.
_TRIAL = 256, 256


def _advice(kind: EncoderKind, what: str = "the size or the settings") -> str:
    return "; ".join(filter(None, (f"change {what}", kind.hint)))


def _parallelism(kind: EncoderKind, threads: int) -> dict[str, str]:
    """Settings that make the encoder use about so many processors."""
    if not threads or not kind.parallelism:
        return {}
    levels = kind.parallelism_levels
    return {kind.parallelism: str(1 + sum(threads > most for most in levels) if levels else threads)}


def _metadata(picture: Picture, kind: EncoderKind) -> Iterator[tuple[str, str]]:
    """Settings for HDR metadata in OBUs (AV1 specification, 5.8.3 and 5.8.4) or SEI messages."""
    write = mastering_in_decimals if kind.mastering_decimals else mastering_in_units
    for name, value in ((kind.mastering, write(picture)), (kind.content_light, content_light(picture))):
        if name and value:
            yield name, value
