"""Y4M: frames as a byte stream (yuv4mpeg(5) of MJPEG Tools, with FFmpeg's extensions)."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import vapoursynth as vs

from vs_srcomp.media.picture import Picture

FRAME = b"FRAME\n"
"""Header of each frame."""

_CHROMA = {(1, 1): "420", (1, 0): "422", (0, 0): "444"}

# By FFmpeg's number of the chroma location. An unknown one is taken for left, as in decoders; plain 420 means centre.
_LOCATIONS = {0: "mpeg2", 1: "mpeg2", 2: "jpeg", 3: "paldv"}

_RANGES = {1: " XCOLORRANGE=LIMITED", 2: " XCOLORRANGE=FULL"}


def stream_header(picture: Picture, rate: Fraction) -> bytes:
    """The header of the stream.

    Args:
        picture: Format of the frames.
        rate: Frames per second. The format has no timestamps.
    """
    chroma = _CHROMA[picture.subsampling]
    if picture.bits > 8:
        chroma += f"p{picture.bits}"
    elif chroma == "420":
        chroma += _LOCATIONS.get(picture.colour.chroma_location, "")
    shape = picture.sample_aspect_ratio
    return (
        f"YUV4MPEG2 W{picture.width} H{picture.height} F{rate.numerator}:{rate.denominator} Ip "
        f"A{shape.numerator}:{shape.denominator} C{chroma}{_RANGES.get(picture.colour.range, '')}\n"
    ).encode()


def samples(frame: vs.VideoFrame) -> Iterator[memoryview]:
    """The samples of all planes without padding; little-endian if they have more than 8 bits."""
    for plane in frame:
        yield memoryview(np.ascontiguousarray(plane)).cast("B")
