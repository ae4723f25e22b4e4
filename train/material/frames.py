"""Frames of videos as pictures to learn from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import vapoursynth as vs
from PIL import Image

import vs_srcomp
from train.material.pictures import clip_planes
from vs_srcomp.files import atomic_path

BT709, UNKNOWN = 1, 2


def write_frames(video: Path, folder: Path, count: int) -> Iterator[Path]:
    """Write ``count`` frames of a video, evenly over its length, as PNG files; those that are there are kept.

    A video with fewer frames gives all.

    Raises:
        ValueError: The video cannot be read.
    """
    try:
        clip = vs_srcomp.source(video)
        chosen = np.unique(np.linspace(0, len(clip) - 1, min(count, len(clip))).round().astype(int))
        folder.mkdir(parents=True, exist_ok=True)
        for number in chosen.tolist():
            path = folder / f"{video.stem}-{number:06}.png"
            if not path.exists():
                with atomic_path(path) as temporary:
                    Image.fromarray(_rgb(clip[number])).save(temporary, "PNG")
            yield path
    except vs.Error as reason:
        raise ValueError(str(reason).replace("\n", "; ")) from reason


def _rgb(frame: vs.VideoNode) -> np.ndarray:
    with frame.get_frame(0) as held:
        matrix = held.props.get("_Matrix", UNKNOWN)
    as_rgb = frame.resize.Bicubic(format=vs.RGB24, matrix_in=BT709 if matrix == UNKNOWN else matrix)
    return np.stack(clip_planes(as_rgb), -1)
