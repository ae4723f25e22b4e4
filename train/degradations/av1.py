"""Pictures downscaled and coded with AV1, stored as small IVF files."""

import io
import multiprocessing
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
import vapoursynth as vs

from train.degradations.degradation import Degraded, Picture
from train.errors import EncoderError
from train.material.pictures import check_names, checksum, clip_planes, planes_to_clip, read_yuv420, some_pictures
from train.progress import tracked
from vs_srcomp.files import write_atomically
from vs_srcomp.geometry import MAX_QUANTIZER, QUANTIZERS, RATIOS, Ratio, ratio_by_name
from vs_srcomp.resample import lanczos5


@dataclass(frozen=True)
class Pair:
    """A ratio and a compression level."""

    ratio: Ratio
    q: int

    @property
    def slug(self) -> str:
        """Form for file names: ``"2by1-q40"``."""
        return f"{self.ratio.slug}-q{self.q}"


# For stills, speed level 6 takes a quarter of level 4's time and loses 0.2 dB, which is an eighth of the step between
# two compression levels. Training takes that; evaluation does not.
TRAINING_SPEED = 6
EVALUATION_SPEED = 4

PAIRS = tuple(Pair(ratio, q) for ratio in RATIOS for q in QUANTIZERS)
"""The pairs that are measured by default."""


def pair_by_slug(slug: str) -> Pair:
    """The pair called ``slug`` ("2by1-q40"), at any level; ValueError for other names."""
    for pair in (Pair(ratio, q) for ratio in RATIOS for q in range(MAX_QUANTIZER + 1)):
        if pair.slug == slug:
            return pair
    raise ValueError(f"no pair is called {slug!r}: give a ratio and a level of 0 to {MAX_QUANTIZER}, as in 2by1-q40")


def ffmpeg() -> str:
    """The path of FFmpeg in imageio-ffmpeg."""
    import imageio_ffmpeg  # Coded material can be read without it.

    return str(imageio_ffmpeg.get_ffmpeg_exe())


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
def encoder_version() -> str:
    """Version of the encoder's ffmpeg, for the record in a dataset's ``meta``."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_version())


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


def stream_path(folder: Path, pair: Pair, picture: Path) -> Path:
    """Path in ``folder`` of the stream of ``picture``; another picture of its name has another one."""
    return folder / pair.slug / f"{picture.stem}-{checksum(picture)}.ivf"


def make_streams(
    pictures: Path,
    folder: Path,
    pairs: Iterable[Pair],
    cpu_used: int = TRAINING_SPEED,
    processes: int | None = None,
) -> None:
    """Code every picture of a folder for every pair, in parallel; existing streams are kept.

    Raises:
        ValueError: There is no picture, or two have the same name.
        EncoderError: The encoder failed.
    """
    paths = some_pictures(pictures)
    check_names(paths)
    jobs = [
        (path, pair, cpu_used, target)
        for pair in pairs
        for path in paths
        if not (target := stream_path(folder, pair, path)).exists()
    ]
    if not jobs:
        return
    with worker_pool(processes) as pool:
        futures = [pool.submit(_make_stream, *job) for job in jobs]
        for future in tracked(as_completed(futures), "coding", total=len(futures)):
            future.result()


@contextmanager
def worker_pool(processes: int | None) -> Iterator[ProcessPoolExecutor]:
    """Processes with one VapourSynth thread each, by default one per core.

    If the block raises, queued work is dropped. If this process is killed, the others end, too.
    """
    # A fork would copy the locks of VapourSynth's threads, but not the threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_start_worker) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start_worker() -> None:
    # Ctrl-C reaches all processes of a terminal: the parent stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    vs.core.num_threads = 1
    # A worker holds both ends of its queue, so it would not notice the end of the parent.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make_stream(path: Path, pair: Pair, cpu_used: int, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, encode(read_yuv420(path), pair, cpu_used))


class Av1:
    """Lanczos-5 downscaling by ``ratio``, AV1 at a random level, and Lanczos-5 upscaling.

    This project's networks are trained on files that are coded once and kept instead (`train.material.coded`).
    """

    def __init__(self, *, ratio: str, lowest: int = 15, highest: int = 55) -> None:
        """Set the ratio, ``"2:1"``, ``"8:5"`` or ``"4:3"``, and the range of levels; ValueError if one is invalid."""
        self.ratio = ratio_by_name(ratio)
        if not 0 <= lowest <= highest <= MAX_QUANTIZER:
            raise ValueError(f"levels from {lowest} to {highest} are not within 0 to {MAX_QUANTIZER}")
        self.lowest, self.highest = lowest, highest

    def __call__(self, picture: Picture, rng: np.random.Generator) -> Degraded:
        """Degrade luma (H, W); H and W are multiples of 16."""
        q = int(rng.integers(self.lowest, self.highest + 1))
        height, width = picture.shape
        neutral = np.full((height // 2, width // 2), 128, np.uint8)
        clip = planes_to_clip([picture, neutral, neutral], vs.YUV420P8)
        decoded = decode(encode(clip, Pair(self.ratio, q), TRAINING_SPEED))
        return Degraded(clip_planes(lanczos5(decoded, width, height))[0], float(q))
