"""Test planes: luma of test pictures, as in the papers, and of video frames."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from train.material.pictures import list_pictures, read_rgb8
from train.metrics.metric import paper_luma
from train.systems.classic import Plane
from train.systems.scores import middle


def picture_files(folder: Path, count: int | None = None) -> list[Path]:
    """The first ``count`` pictures of a folder, by default all; none if there is no such folder."""
    return list_pictures(folder)[:count] if folder.is_dir() else []


def lumas(folder: Path, count: int | None = None, side: int | None = None) -> Iterator[tuple[str, Plane]]:
    """Name and luma of the first ``count`` pictures of a folder, cropped to the middle ``side`` pixels.

    By default all pictures, uncropped. EXIF rotation is applied.

    Raises:
        ValueError: A file cannot be read, as in `read_rgb8`, or there is none.
    """
    files = picture_files(folder, count)
    if not files:
        raise ValueError(f"{folder} has no pictures: give the folder of test sets as --data")
    for path in files:
        rgb = read_rgb8(path)
        yield path.stem, middle(paper_luma(rgb), side or max(rgb.shape))


def frames(video: Path, count: int, side: int) -> Iterator[tuple[str, Plane]]:
    """Name and luma of ``count`` evenly spaced frames of a video, cropped to the middle ``side`` pixels.

    Luma keeps the range of the file, full or limited. A shorter video gives fewer frames.

    Raises:
        ValueError: It cannot be read, or has no frame.
    """
    import av

    try:
        with av.open(str(video)) as container:
            found = [_luma(frame) for frame in _spread(container.decode(video=0), count)]
    except (av.FFmpegError, OSError, IndexError) as reason:
        raise ValueError(f"{video} is not a video that can be read ({reason})") from reason
    if not found:
        raise ValueError(f"{video} has no frame")
    for number, plane in enumerate(found):
        yield f"{video.stem}-{number}", middle(plane, side)


def _luma(frame: Any) -> Plane:
    """The first plane, unconverted: a conversion to grey would stretch limited range to full."""
    component = frame.format.components[0]
    depth = np.uint8 if component.bits <= 8 else np.uint16
    plane = frame.planes[0]
    rows = np.frombuffer(plane, depth).reshape(plane.height, -1)[:, : plane.width]
    return np.asarray(rows >> max(0, component.bits - 8), np.uint8)


def _spread[T](items: Iterator[T], count: int) -> list[T]:
    """``count`` evenly spaced ``items`` of an iterator of unknown length."""
    kept: list[T] = []
    step = 1
    for number, item in enumerate(items):
        if number % step == 0:
            kept.append(item)
            if len(kept) == 2 * count:
                kept, step = kept[::2], 2 * step
    return kept[:: max(1, len(kept) // count)][:count]
