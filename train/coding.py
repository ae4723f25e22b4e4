"""Coding with AV1 to IVF in memory, by FFmpeg, and decoding, by PyAV."""

import io
import re
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache

import av
import numpy as np
import vapoursynth as vs

from train.errors import EncoderError
from train.ffmpeg import ffmpeg
from train.material.pictures import clip_planes, planes_to_clip
from train.pairs import Pair
from vs_srcomp.resample import lanczos5

# For stills, speed level 6 takes a quarter of level 4's time and loses 0.2 dB, which is an eighth of the step between
# two compression levels. Training takes that; evaluation does not.
TRAINING_SPEED = 6
EVALUATION_SPEED = 4


def still_options(cpu_used: int) -> tuple[str, ...]:
    """FFmpeg's options for libaom at its speed level ``cpu_used``, one thread."""
    return ("-c:v", "libaom-av1", "-b:v", "0", "-cpu-used", str(cpu_used), "-threads", "1")


def encoder_argv(width: int, height: int, options: Iterable[str], q: int, frames: int = 1) -> list[str]:
    """The command that codes raw 4:2:0 frames from stdin at quantizer ``q`` (0..63) to IVF on stdout.

    ``options`` are FFmpeg's options for the encoder and its speed.
    """
    return [
        *(ffmpeg(), "-hide_banner", "-loglevel", "error"),
        *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", f"{width}x{height}", "-framerate", "25"),
        *("-i", "pipe:0", "-frames:v", str(frames), *options, "-crf", str(q), "-f", "ivf", "pipe:1"),
    ]


@cache
def libaom_version() -> str:
    """libaom's version in the encoder's log ("v3.15.1"), or "unknown"."""
    argv = encoder_argv(16, 16, still_options(8), 63)
    argv[argv.index("error")] = "info"
    logged = subprocess.run(argv, input=bytes(16 * 16 * 3 // 2), capture_output=True, check=True)
    found = re.search(r"\[libaom-av1 @ \w+\] (\S+)", logged.stderr.decode(errors="replace"))
    return found[1] if found else "unknown"


def encode(picture: vs.VideoNode, pair: Pair, cpu_used: int) -> bytes:
    """Downscale ``picture`` (YUV420P8, one frame) by the pair's ratio with Lanczos-5, and code it with libaom.

    Raises:
        EncoderError: The encoder failed.
    """
    width, height = (int(size / pair.ratio.factor) for size in (picture.width, picture.height))
    small = b"".join(plane.tobytes() for plane in clip_planes(lanczos5(picture, width, height)))
    coded = subprocess.run(
        encoder_argv(width, height, still_options(cpu_used), pair.q), input=small, capture_output=True, check=False
    )
    if coded.returncode:
        raise EncoderError.of(f"a picture of {width}x{height} at Q{pair.q}", coded.stderr)
    return coded.stdout


def decode(stream: bytes) -> vs.VideoNode:
    """Decode the first frame of an IVF ``stream`` to a YUV420P8 clip."""
    return next(decode_frames(stream))


def decode_frames(stream: bytes) -> Iterator[vs.VideoNode]:
    """Decode the frames of an IVF ``stream`` to one YUV420P8 clip each."""
    with av.open(io.BytesIO(stream), "r", format="ivf") as container:
        for frame in container.decode(video=0):
            planes = [
                np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
                for plane in frame.planes
            ]
            yield planes_to_clip(planes, vs.YUV420P8)
