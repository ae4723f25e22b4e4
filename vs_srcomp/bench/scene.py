"""A synthetic scene that compresses and resizes much like photographs."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from vs_srcomp.processor import ordinary_threads

type Plane = npt.NDArray[Any]

RATE = 24
"""Frames per second of `write_scene`."""

CRF = 40
"""CRF of `write_scene`."""

_PERIOD = 96
"""Period of the motion in frames."""

# Sensor noise of luma in 8-bit codes.
_NOISE = 1.5

_STILL, _MOVING = 40, 12
_MARGIN = 64


def write_scene(target: Path, width: int, height: int, bits: int, frames: int) -> None:
    """Write `scene_frames` as AV1 in Matroska.

    Only one period is encoded. Its packets are repeated, so that long files are cheap.

    Args:
        target: The file.
        width: Even, in pixels.
        height: Even, in pixels.
        bits: 8 or 10.
        frames: At least so many.
    """
    period = list(_encode(width, height, bits, min(frames, _PERIOD)))
    with av.open(str(target), "w", format="matroska") as container:
        stream = container.add_stream("libsvtav1", RATE)
        _configure(stream.codec_context, width, height, bits)
        with ordinary_threads():
            stream.codec_context.open()
        for start in range(0, frames, len(period)):
            for number, (data, key) in enumerate(period):
                packet = av.Packet(data)
                packet.stream = stream
                packet.time_base = Fraction(1, RATE)
                packet.pts = packet.dts = start + number
                packet.duration = 1
                packet.is_keyframe = key
                container.mux(packet)


def scene_frames(width: int, height: int, bits: int, count: int, *, seed: int = 1) -> Iterator[list[Plane]]:
    """Y, U and V in 4:2:0 of ``count`` frames, the same for the same ``seed``; uint8, or uint16 above 8 bits.

    The camera pans over a rippling ground, with sharp objects in front of it, some of which move on their own, and
    noise. As in films, a codec can predict some of it.
    """
    rng = np.random.default_rng(seed)
    ground = 0.5 + 0.25 * _octaves(width + 2 * _MARGIN, height + 2 * _MARGIN, 9, rng)
    for _ in range(_STILL):
        _draw(ground, _object(height, rng), rng.uniform(0, width), rng.uniform(0, height))
    moving = [(_object(height, rng), rng.uniform(0, 1, 4)) for _ in range(_MOVING)]
    colours = [0.5 + 0.04 * _octaves(width // 2 + 2 * _MARGIN, height // 2 + 2 * _MARGIN, 6, rng) for _ in range(2)]
    noise = rng.normal(0, _NOISE / 219, (4, height + 64, width + 64)).astype(np.float32)
    for number in range(count):
        turn = 2 * np.pi * number / _PERIOD
        luma = _seen(ground.astype(np.float32), width, height, turn)
        for body, (x, y, phase, reach) in moving:
            angle = turn * (1 if phase < 0.5 else -1) + 6 * phase
            away = height * (0.05 + 0.15 * reach)
            _draw(luma, body, width * x + away * np.cos(angle), height * y + away * np.sin(angle))
        dx, dy = rng.integers(0, 64, 2)
        luma += noise[number % 4, dy : dy + height, dx : dx + width]
        chroma = [_seen(colour.astype(np.float32), width // 2, height // 2, turn) for colour in colours]
        yield [_codes(plane, bits) for plane in (luma, *chroma)]


def _seen(ground: Plane, width: int, height: int, turn: float) -> Plane:
    """The view of the camera: each row is shifted by a fraction of a pixel more than the one above."""
    top = _MARGIN + round(_MARGIN / 2 * np.sin(turn))
    rows = np.arange(height)[:, None]
    start = _MARGIN * (1 + 0.7 * np.cos(turn)) + 4 * np.sin(rows / 37 + 5 * turn)
    left = np.floor(start).astype(int)
    part = (start - left).astype(ground.dtype)
    at = left + np.arange(width)
    picture: Plane = ground[rows + top, at] * (1 - part) + ground[rows + top, at + 1] * part
    return picture


def _object(height: int, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Shade and shape of a disc or a diamond with fine stripes."""
    size = int(rng.uniform(0.02, 0.15) * height) + 2
    y, x = np.ogrid[-size : size + 1, -size : size + 1]
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    inside = abs(along) + abs(across) < size if rng.random() < 0.5 else np.hypot(along, 2 * across) < size
    return rng.uniform(0.1, 0.9) + 0.1 * np.sin(along / rng.uniform(1.5, 8)), inside


def _draw(picture: Plane, body: tuple[Plane, Plane], x: float, y: float) -> None:
    """Put ``body`` with its centre at the pixel next to ``x`` and ``y``, as far as it is within the picture."""
    shade, inside = body
    half = shade.shape[0] // 2
    top, left = round(y) - half, round(x) - half
    rows = slice(max(-top, 0), max(picture.shape[0] - top, 0))
    columns = slice(max(-left, 0), max(picture.shape[1] - left, 0))
    shade, inside = shade[rows, columns], inside[rows, columns]
    part = picture[max(top, 0) :, max(left, 0) :][: shade.shape[0], : shade.shape[1]]
    np.copyto(part, shade, where=inside)


def _octaves(width: int, height: int, count: int, rng: np.random.Generator) -> Plane:
    """Noise of about unit variance, whose spectrum falls towards fine detail much as that of nature does."""
    total: Plane = np.zeros((height, width))
    for octave in range(count):
        step = 2 ** (count - 1 - octave)
        grid = rng.standard_normal((height // step + 2, width // step + 2))
        total += 0.6**octave * _stretched(grid, step)[:height, :width]
    return total


def _stretched(grid: Plane, step: int) -> Plane:
    """Bilinear interpolation of ``grid`` at ``step`` points for each of its own."""
    part = np.arange(step) / step
    rows = (grid[:-1, None] * (1 - part)[:, None] + grid[1:, None] * part[:, None]).reshape(-1, grid.shape[1])
    stretched: Plane = (rows[:, :-1, None] * (1 - part) + rows[:, 1:, None] * part).reshape(len(rows), -1)
    return stretched


def _codes(plane: Plane, bits: int) -> Plane:
    codes: Plane = (plane.clip(0, 1) * 219 + 16) * 2 ** (bits - 8)
    return codes.round().astype(np.uint8 if bits == 8 else np.uint16)


def _encode(width: int, height: int, bits: int, count: int) -> Iterator[tuple[bytes, bool]]:
    """Packets, and whether decoding can start there."""
    context = av.CodecContext.create("libsvtav1", "w")
    assert isinstance(context, VideoCodecContext)
    _configure(context, width, height, bits)
    with ordinary_threads():
        context.open()
    for number, planes in enumerate(scene_frames(width, height, bits, count)):
        frame = VideoFrame(width, height, context.pix_fmt or "")
        for plane, codes in zip(frame.planes, planes, strict=True):
            np.copyto(np.frombuffer(plane, codes.dtype).reshape(plane.height, -1)[:, : codes.shape[1]], codes)
        frame.pts = number
        for packet in context.encode_lazy(frame):
            yield bytes(packet), packet.is_keyframe
    for packet in context.encode_lazy(None):
        yield bytes(packet), packet.is_keyframe


def _configure(context: Any, width: int, height: int, bits: int) -> None:
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p" if bits == 8 else "yuv420p10le"
    context.time_base = Fraction(1, RATE)
    context.framerate = Fraction(RATE)
    # Each temporal unit shows one frame, so packet numbers are timestamps.
    context.options = {"preset": "12", "crf": str(CRF), "svtav1-params": "keyint=-1"}
