"""Training examples as a player sees them: pictures and clips, downscaled, coded with AV1, decoded and upscaled."""

import io
import os
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import av
import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image

from train.coding import decode_frames, encoder_argv
from train.errors import EncoderError
from train.material.pictures import Plane, checksum, clip_planes, read_rgb8, rgb_to_yuv420, scaled_rgb
from train.progress import tracked
from train.workers import worker_pool
from vs_srcomp.av1 import Parser
from vs_srcomp.av1.estimate import effective_q_idx
from vs_srcomp.files import write_atomically
from vs_srcomp.geometry import quantizer_of_index, ratio_by_name
from vs_srcomp.resample import lanczos5

LEVEL_BANDS: Final = ((15, 24), (25, 34), (35, 44), (45, 55), (12, 57))
"""Each picture is coded once in each band, at a random level of that band."""

CLIP_BANDS: Final = ((15, 34), (35, 55))

CLIP_SIZE: Final = (512, 320)
CLIP_FRAMES: Final = 9

# A second clip of one picture in two is made at half its size, where detail is sharp to the pixel, as in video that was
# recorded larger than it is shown.
_SMALL_CLIP_EVERY: Final = 2
_SMALL_CLIP_SCALE: Final = 0.5
_SMALL_CLIP_SIZE: Final = (320, 192)
# What the camera may cover beyond the frame, in pixels.
_CLIP_MARGIN: Final = 56

KEPT_FRAMES: Final = (0, 2, 5, 7)
"""Frames used of each clip: a key frame, and frames of the pyramid's other layers."""

# One photograph in three is also coded at this smaller size, where detail is sharp to the pixel.
_SMALL_SCALE: Final = 0.6
_SMALL_EVERY: Final = 3


# A window of one picture in two is also coded with black borders: bars of films, and lines that scanners and cameras
# leave. Windows are small, so that many crops reach their borders.
_FRAMED_EVERY: Final = 2
_FRAMED_SIDE: Final = 256
_THIN: Final = 4
_WIDEST: Final = 40


@dataclass(frozen=True)
class Coding:
    """Parameters of one coded file: a picture, or a clip made of it."""

    picture: Path
    ratio: str
    """``"2:1"``, ``"8:5"`` or ``"4:3"``."""
    q: int
    """Quantizer for the encoder, 0 to 63."""
    encoder: str
    """A key of `ENCODERS`."""
    scale: float = 1.0
    """Scale of the picture before all other steps."""
    is_clip: bool = False
    is_framed: bool = False
    """A window of it, with black lines or bars at some borders."""

    @property
    def name(self) -> str:
        """File name without suffix. With the picture's content, so that another one of its name is coded, too."""
        kind = self.kind.removeprefix("still")
        return f"{self.picture.stem}-{checksum(self.picture)}-{kind}-q{self.q}-{self.encoder}"

    @property
    def kind(self) -> str:
        """``"still1"``, ``"still0.6"``, ``"clip"``, ``"clip0.5"`` or ``"framed"``."""
        if self.is_framed:
            return "framed"
        if self.is_clip:
            return "clip" if self.scale == 1 else f"clip{self.scale:g}"
        return f"still{self.scale:g}"

    def file(self, folder: Path) -> Path:
        """Path of its stream in ``folder``."""
        return folder / ratio_by_name(self.ratio).slug / f"{self.name}.ivf"


ENCODERS: Final = {
    "aom": ("-c:v", "libaom-av1", "-cpu-used", "6", "-b:v", "0", "-threads", "1"),
    "aomintra": ("-c:v", "libaom-av1", "-usage", "allintra", "-cpu-used", "6", "-b:v", "0", "-threads", "1"),
    "svt": ("-c:v", "libsvtav1", "-preset", "8", "-svtav1-params", "lp=1"),
    "svt5": ("-c:v", "libsvtav1", "-preset", "5", "-svtav1-params", "lp=1"),
}
"""FFmpeg's arguments by encoder name."""

# What libaom makes of a single picture in its default mode and in all-intra mode wants different corrections: networks
# that have seen mostly one of them lose up to 0.06 dB on the other.
_OF_STILLS: Final = ("aom", "aom", "aomintra")
_OF_CLIPS: Final = ("svt", "svt", "svt5", "aom")


def codings(pictures: Iterable[Path], ratio: str, *, clips: bool = True) -> Iterator[Coding]:
    """The codings of ``pictures`` for ``ratio``. They depend on the names alone: every machine gets the same."""
    for path in pictures:
        rng = np.random.default_rng(zlib.crc32(os.fsencode(f"{path.stem} {ratio}")))
        scales = [1.0] if zlib.crc32(os.fsencode(path.stem)) % _SMALL_EVERY else [1.0, _SMALL_SCALE]
        for scale in scales:
            for low, high in LEVEL_BANDS:
                yield Coding(path, ratio, int(rng.integers(low, high + 1)), str(rng.choice(_OF_STILLS)), scale)
        if clips:
            is_twice = zlib.crc32(os.fsencode(f"{path.stem} clip")) % _SMALL_CLIP_EVERY == 0
            for scale in [1.0, _SMALL_CLIP_SCALE] if is_twice else [1.0]:
                for low, high in CLIP_BANDS:
                    level, encoder = int(rng.integers(low, high + 1)), str(rng.choice(_OF_CLIPS))
                    yield Coding(path, ratio, level, encoder, scale, is_clip=True)
        if zlib.crc32(os.fsencode(f"{path.stem} framed")) % _FRAMED_EVERY == 0:
            for low, high in LEVEL_BANDS:
                level, encoder = int(rng.integers(low, high + 1)), str(rng.choice(_OF_STILLS))
                yield Coding(path, ratio, level, encoder, is_framed=True)


@dataclass(frozen=True)
class Example:
    """A degraded plane (luma, decoded and upscaled) and its original."""

    degraded: Plane
    original: Plane
    q: float
    """Level as playback estimates it from the stream's headers."""
    picture: str
    """Name of the source photograph."""
    clean: Plane | None = None
    """The small picture before compression, if it is a further target."""
    kind: str = ""
    """Of pictures coded with AV1: see `Coding.kind`; of patches: ``"patch"``."""

    @cached_property
    def error(self) -> float:
        """Mean squared error of the degraded plane, in squared code values."""
        return float(np.mean((self.degraded.astype(np.float32) - self.original) ** 2))


def code(jobs: Iterable[Coding], folder: Path, processes: int | None = None) -> None:
    """Make the missing files of ``jobs``, in parallel."""
    missing: dict[Path, list[Coding]] = {}
    for job in jobs:
        if not job.file(folder).exists():
            missing.setdefault(job.picture, []).append(job)
    if not missing:
        return
    with worker_pool(processes) as pool:
        futures = [pool.submit(_code_picture, of_one, folder) for of_one in missing.values()]
        for future in tracked(as_completed(futures), "coding", total=len(futures)):
            future.result()


def clip_frames(rgb: NDArray[np.uint8], name: str, size: tuple[int, int] = CLIP_SIZE) -> list[NDArray[np.uint8]] | None:
    """``CLIP_FRAMES`` frames of a camera that moves over a picture; None if the picture is too small for ``size``.

    Per frame it pans by up to four pixels, zooms by up to 0.4 % and turns by up to 0.2 degrees; one clip in five does
    not move. Motion is sub-pixel, with bicubic interpolation.
    """
    width, height = size
    if rgb.shape[1] < width + _CLIP_MARGIN or rgb.shape[0] < height + _CLIP_MARGIN:
        return None
    rng = np.random.default_rng(zlib.crc32(os.fsencode(name)))
    stands = rng.random() < 0.2
    velocity = np.zeros(2) if stands else rng.uniform(-4, 4, 2)
    zoom = 1.0 if stands else 1 + rng.uniform(-0.004, 0.004)
    turn = 0.0 if stands else np.radians(rng.uniform(-0.2, 0.2))
    middle = np.array([rgb.shape[1], rgb.shape[0]]) / 2
    image = Image.fromarray(rgb)
    frames = []
    for number in range(CLIP_FRAMES):
        away = number - CLIP_FRAMES // 2
        angle, factor = turn * away, zoom**away
        matrix = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        offset = middle + velocity * away - matrix @ (np.array(size) / 2)
        numbers = (*matrix[0], offset[0], *matrix[1], offset[1])
        moved = image.transform(size, Image.Transform.AFFINE, numbers, Image.Resampling.BICUBIC)
        frames.append(np.asarray(moved))
    return frames


def framed(rgb: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """A window of a picture with black lines of up to 4 pixels, or bars of up to 40, at some of its borders."""
    rng = np.random.default_rng(zlib.crc32(os.fsencode(f"{name} framed")))
    top, left = (int(rng.integers(max(0, side - _FRAMED_SIDE) + 1)) for side in rgb.shape[:2])
    window = rgb[top : top + _FRAMED_SIDE, left : left + _FRAMED_SIDE]
    made = window[: window.shape[0] // 16 * 16, : window.shape[1] // 16 * 16].copy()
    widest = _THIN if rng.random() < 0.7 else _WIDEST
    for side in range(4):
        if rng.random() < 0.6:
            np.rot90(made, side)[: rng.integers(1, widest + 1)] = 0
    return made


def _sources(job: Coding) -> list[NDArray[np.uint8]] | None:
    rgb = read_rgb8(job.picture)
    if job.is_clip and job.scale == 1:
        return clip_frames(rgb, job.picture.stem)
    if job.is_clip:
        return clip_frames(scaled_rgb(rgb, job.scale), f"{job.picture.stem} small", _SMALL_CLIP_SIZE)
    return [framed(rgb, job.picture.stem) if job.is_framed else scaled_rgb(rgb, job.scale)]


def _code_picture(jobs: list[Coding], folder: Path) -> None:
    for job in jobs:
        frames = _sources(job)
        target = job.file(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            coded = b"" if frames is None else _encoded(frames, job)
        except ValueError as reason:
            raise ValueError(f"{job.picture.name}, at {job.scale:g} of its size: {reason}") from None
        write_atomically(target, coded)


def _encoded(frames: list[NDArray[np.uint8]], job: Coding) -> bytes:
    ratio = ratio_by_name(job.ratio)
    raw, size = [], (0, 0)
    for rgb in frames:
        clip = rgb_to_yuv420(rgb)
        size = int(clip.width / ratio.factor), int(clip.height / ratio.factor)
        raw.append(b"".join(plane.tobytes() for plane in clip_planes(lanczos5(clip, *size))))
    argv = encoder_argv(*size, ENCODERS[job.encoder], job.q, len(frames))
    coded = subprocess.run(argv, input=b"".join(raw), capture_output=True, check=False)
    if coded.returncode:
        raise EncoderError.of(job.name, coded.stderr)
    return coded.stdout


def load_picture(jobs: Iterable[Coding], folder: Path) -> list[Example]:
    """Decode and upscale the files of ``jobs``, all of one picture, as in playback."""
    examples: list[Example] = []
    originals: dict[tuple[float, bool, bool], list[Plane]] = {}
    for job in jobs:
        stream = job.file(folder).read_bytes()
        if job.is_clip and not stream:
            continue  # the picture is too small for it
        key = job.scale, job.is_clip, job.is_framed
        if key not in originals:
            frames = _sources(job) or []
            originals[key] = [clip_planes(rgb_to_yuv420(rgb))[0] for rgb in frames]
        kept = KEPT_FRAMES if job.is_clip else (0,)
        q, clips = _read(stream, job.file(folder), CLIP_FRAMES if job.is_clip else 1)
        for number, clip in enumerate(clips):
            if number in kept:
                original = originals[key][number]
                height, width = original.shape
                upscaled = clip_planes(lanczos5(clip, width, height))[0]
                examples.append(Example(upscaled, original, q, job.picture.stem, kind=job.kind))
    return examples


def _read(stream: bytes, path: Path, count: int) -> tuple[float, list[vs.VideoNode]]:
    """Level and frames of the ``stream`` at ``path``, which has ``count``."""
    try:
        level, frames = level_of(stream), list(decode_frames(stream))
        if len(frames) != count:
            raise ValueError(f"it has {len(frames)} frames instead of {count}")
    except (ValueError, av.error.FFmpegError) as reason:
        raise ValueError(f"{path} is damaged ({reason}); remove it, and it is coded again") from reason
    return level, frames


def level_of(stream: bytes) -> float:
    """The level of a short IVF stream of one scene, estimated from the headers as in `vs_srcomp.source`."""
    parser = Parser(b"")
    with av.open(io.BytesIO(stream), "r", format="ivf") as container:
        units = [parser.parse(bytes(packet)) for packet in container.demux(video=0) if packet.size]
    estimate = effective_q_idx([frame for unit in units for shown in unit.shown for frame in shown.coded])
    if estimate is None:
        raise ValueError("no frame has a header that could be parsed")
    return quantizer_of_index(estimate)
