"""Streams of pictures: coded once for each pair, and kept as IVF files."""

from collections.abc import Iterable
from concurrent.futures import as_completed
from pathlib import Path

import vapoursynth as vs

from train.coding import TRAINING_SPEED, encode
from train.material.pictures import check_names, checksum, read_yuv420, some_pictures
from train.pairs import Pair
from train.progress import tracked
from train.workers import worker_pool
from vs_srcomp.files import write_atomically


def stream_path(folder: Path, pair: Pair, picture: Path) -> Path:
    """Path in ``folder`` of the stream of ``picture``; another picture of its name has another one."""
    return folder / pair.slug / f"{picture.stem}-{checksum(picture)}.ivf"


def stream_of(picture: Path, clip: vs.VideoNode, pair: Pair, folder: Path, cpu_used: int) -> bytes:
    """The stream of ``picture`` in ``folder``, which is made if it is not there.

    Args:
        picture: The file.
        clip: What is coded of it, YUV420P8, one frame: always the same for one folder.
        pair: Ratio and compression level.
        folder: Folder of streams.
        cpu_used: Speed level of the encoder.

    Raises:
        EncoderError: The encoder failed.
    """
    path = stream_path(folder, pair, picture)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, encode(clip, pair, cpu_used))
    return path.read_bytes()


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
        (path, pair, folder, cpu_used)
        for pair in pairs
        for path in paths
        if not stream_path(folder, pair, path).exists()
    ]
    if not jobs:
        return
    with worker_pool(processes) as pool:
        futures = [pool.submit(_make_stream, *job) for job in jobs]
        for future in tracked(as_completed(futures), "coding", total=len(futures)):
            future.result()


def _make_stream(path: Path, pair: Pair, folder: Path, cpu_used: int) -> None:
    stream_of(path, read_yuv420(path), pair, folder, cpu_used)
