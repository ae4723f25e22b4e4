"""Independent views of a video file, and small files of every kind, made with PyAV alone."""

import hashlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
import vapoursynth as vs
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vs_srcomp.processor import ordinary_threads

type Array = npt.NDArray[Any]

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared_files(*folders: str) -> list[str]:
    """The real streams, relative to the shared folder; empty where that is absent."""
    files = [file for folder in folders for file in sorted((SHARED / folder).glob("*")) if file.suffix != ".json"]
    return [str(file.relative_to(SHARED)) for file in files]


def decoded_arrays(frame: VideoFrame) -> list[Array]:
    """The planes of a planar PyAV frame, cropped, in FFmpeg's order."""
    arrays = []
    for number, plane in enumerate(frame.planes):
        bits = next(c.bits for c in frame.format.components if c.plane == number)
        dtype = np.uint8 if bits <= 8 else np.uint16
        arrays.append(np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width])
    return arrays


def clip_arrays(frame: vs.VideoFrame) -> list[Array]:
    """The planes of a VapourSynth frame, in FFmpeg's order."""
    order = (1, 2, 0) if frame.format.color_family == vs.RGB else range(frame.format.num_planes)
    return [np.asarray(frame[plane]) for plane in order]


def digest(arrays: Iterable[Array]) -> str:
    """One MD5 over all planes."""
    md5 = hashlib.md5(usedforsecurity=False)
    for array in arrays:
        md5.update(np.ascontiguousarray(array).tobytes())
    return md5.hexdigest()


def clip_digest(clip: vs.VideoNode, number: int) -> str:
    """The MD5 of one frame of a clip."""
    with clip.get_frame(number) as frame:
        return digest(clip_arrays(frame))


def linear_digests(file: Path, *, film_grain: bool = False, most: int | None = None) -> list[str]:
    """The MD5s of the frames as a plain PyAV loop decodes them."""
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        if not film_grain:
            stream.codec_context.options = {"export_side_data": "film_grain"}
        return [digest(decoded_arrays(frame)) for frame in islice(container.decode(stream), most)]


def pattern(
    number: int, width: int = 64, height: int = 48, bits: int = 8, planes: Sequence[tuple[int, int]] = ((0, 0),)
) -> list[Array]:
    """Planes that differ in every frame and use all values; ``planes`` are their log2 subsamplings."""
    rng = np.random.default_rng(number)
    dtype = np.uint8 if bits == 8 else np.uint16
    return [rng.integers(0, 1 << bits, (-(-height >> h), -(-width >> w)), dtype) for w, h in planes]


def scene(number: int, width: int, height: int) -> Array:
    """A smooth picture that moves, for lossy encoders."""
    y, x = np.mgrid[:height, :width]
    wave = np.sin((x + 3 * number) / 7) * 60 + np.cos((y - 2 * number) / 5) * 50 + 128
    picture: Array = wave.clip(16, 235).astype(np.uint8)
    return picture


def video_frame(arrays: Sequence[Array], pixel_format: str, width: int, height: int) -> VideoFrame:
    """A PyAV frame with these planes."""
    frame = VideoFrame(width, height, pixel_format)
    for plane, array in zip(frame.planes, arrays, strict=True):
        rows = np.zeros((plane.height, plane.line_size // array.itemsize), array.dtype)
        rows[:, : array.shape[1]] = array
        plane.update(rows.tobytes())
    return frame


def write_video(
    file: Path,
    frames: Iterable[VideoFrame],
    *,
    codec: str = "ffv1",
    rate: Fraction | int = 25,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    options: dict[str, str] | None = None,
    setup: dict[str, Any] | None = None,
    muxing: dict[str, str] | None = None,
) -> Path:
    """Encode ``frames``; ``pts`` counts in ``time_base``, by default frames of constant rate.

    ``setup`` holds attributes of the encoder's context, ``muxing`` options of the container.
    """
    with ordinary_threads(), av.open(str(file), "w", options=muxing or {}) as container:
        stream: VideoStream | None = None
        for number, frame in enumerate(frames):
            if stream is None:
                stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options or {}))
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
                if time_base:
                    stream.codec_context.time_base = time_base
                for name, value in (setup or {}).items():
                    setattr(stream.codec_context, name, value)
            frame.time_base = time_base or 1 / Fraction(rate)
            frame.pts = pts[number] if pts else number
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))
    return file


def write_scenes(file: Path, count: int, size: tuple[int, int] = (64, 48), **how: Any) -> Path:
    """Encode ``count`` pictures of a moving scene in 4:2:0."""
    width, height = size
    gray = np.full((height // 2, width // 2), 128, np.uint8)
    frames = (video_frame([scene(n, width, height), gray, gray], "yuv420p", width, height) for n in range(count))
    return write_video(file, frames, **how)
