"""Clip to AV1 packets, with SVT-AV1."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import vapoursynth as vs
from av import logging
from av.codec.context import Flags
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vs_srcomp.errors import error
from vs_srcomp.log import say
from vs_srcomp.transcode.picture import Mastering, Picture

type VideoPacket = Packet[VideoStream]

# SVT-AV1 refuses rates beyond these. Timestamps do not depend on the rate, only the spending of bits does.
_SLOWEST, _FASTEST = Fraction(1), Fraction(240)

_ASK_SVT = "change the size or the settings; with SVT_LOG=2 in the environment it tells more"

_PIXEL_FORMATS = {8: "yuv420p", 10: "yuv420p10le"}


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """Of SVT-AV1."""

    crf: int
    """1 to 63."""
    preset: int
    """0 to 13."""
    params: str
    """``key=value:key=value``."""


def encodable(clip: vs.VideoNode) -> vs.VideoNode:
    """The clip in a format that SVT-AV1 takes: 4:2:0 in 8 bits, or in 10 bits if it has more than 8.

    Raises:
        vs.Error: It is RGB.
    """
    format_ = clip.format
    if format_.color_family == vs.RGB:
        raise error(
            f"the video is RGB ({format_.name}), which is not upscaled", "convert it to a YUV file first, with a matrix"
        )
    bits = 8 if format_.bits_per_sample == 8 else 10
    wanted = vs.core.query_video_format(vs.YUV, vs.INTEGER, bits, 1, 1)
    if wanted.id == format_.id:
        return clip
    say(f"{format_.name} is converted to {wanted.name}: SVT-AV1 takes 4:2:0 in 8 or 10 bits only")
    if clip.width % 2 or clip.height % 2:
        clip = clip.std.Crop(right=clip.width % 2, bottom=clip.height % 2)
        say(f"the picture is cropped to {clip.width}x{clip.height}, which 4:2:0 can hold")
    return clip.resize.Bicubic(format=wanted.id, dither_type="error_diffusion")


class Encoder:
    """Turns frames into packets, some frames later."""

    def __init__(self, picture: Picture, settings: EncoderSettings, time_base: Fraction, rate: Fraction | None) -> None:
        """Start SVT-AV1.

        Args:
            picture: What the frames are.
            settings: How to encode them.
            time_base: The unit of timestamps, in seconds.
            rate: Frames per second, if they are shown at one rate; only the spending of bits depends on it.

        Raises:
            vs.Error: SVT-AV1 refuses the picture or the settings.
        """
        context = av.CodecContext.create("libsvtav1", "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = picture.width, picture.height
        context.pix_fmt = _PIXEL_FORMATS[picture.bits]
        context.time_base = time_base
        context.framerate = min(max(rate or Fraction(25), _SLOWEST), _FASTEST)
        context.colorspace = picture.colour.matrix
        context.color_primaries = picture.colour.primaries
        context.color_trc = picture.colour.transfer
        context.color_range = picture.colour.range
        context.chroma_sample_location = picture.colour.chroma_location
        context.flags |= Flags.global_header
        params = ":".join(part for part in (*_metadata(picture), settings.params) if part)
        context.options = {"crf": str(settings.crf), "preset": str(settings.preset)} | (
            {"svtav1-params": params} if params else {}
        )
        _open(context)
        self._context = context
        self._durations: dict[int, int] = {}

    @property
    def header(self) -> bytes:
        """The sequence header, which containers keep apart from the packets."""
        return self._context.extradata or b""

    def encode(self, frame: vs.VideoFrame, timestamp: int, duration: int) -> Iterator[VideoPacket]:
        """Give ``frame`` to the encoder and yield the packets that are ready.

        Args:
            frame: The next frame.
            timestamp: When it is shown, in units of the time base; more than that of the frame before.
            duration: How long it is shown, in the same unit; 0 if that is not known.
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
        """Yield the packets of the frames that are still in the encoder. No frame can follow."""
        yield from self._timed(None)

    def _timed(self, frame: VideoFrame | None) -> Iterator[VideoPacket]:
        try:
            for packet in self._context.encode_lazy(frame):
                # SVT-AV1 keeps timestamps but forgets durations, and nothing else tells how long the last frame lasts.
                packet.duration = self._durations.pop(packet.pts or 0)
                yield packet
        except av.FFmpegError as reason:
            raise error(f"SVT-AV1 failed: {reason.strerror}", _ASK_SVT) from reason


def _open(context: VideoCodecContext) -> None:
    """Start the encoder. Settings that it does not know are errors, not the warnings that FFmpeg makes of them."""
    level = logging.get_level()
    logging.set_level(logging.WARNING)
    try:
        with logging.Capture() as messages:
            context.open()
    except av.FFmpegError as reason:
        raise error(
            f"SVT-AV1 refuses to encode {context.width}x{context.height} with {context.options}", _ASK_SVT
        ) from reason
    finally:
        logging.set_level(level)
    for _, _, message in messages:
        if message.startswith("Error parsing option"):
            raise error(f"SVT-AV1: {message.strip().rstrip('.').lower()}", _ASK_SVT)


def _metadata(picture: Picture) -> Iterator[str]:
    """SVT-AV1's settings for the metadata OBUs (AV1 specification, 5.8.3 and 5.8.4)."""
    if picture.mastering and picture.mastering.primaries:
        yield f"mastering-display={_mastering(picture.mastering)}"
    if picture.content_light:
        yield "content-light={},{}".format(*picture.content_light)


def _mastering(mastering: Mastering) -> str:
    red, green, blue, white = mastering.primaries
    low, high = mastering.luminance or (0.0, 0.0)
    points = "".join(
        f"{name}({x:.6f},{y:.6f})"
        for name, (x, y) in zip(("G", "B", "R", "WP"), (green, blue, red, white), strict=True)
    )
    return f"{points}L({high:.4f},{low:.6f})"
