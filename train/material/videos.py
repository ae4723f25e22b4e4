"""Training material of videos: evenly spaced frames as picture files."""

import math
import os
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import vapoursynth as vs
from PIL import Image

import vs_srcomp
from train.material.material import shuffled_share
from train.material.pictures import check_names, clip_planes
from vs_srcomp.batch.inputs import VIDEO_SUFFIXES
from vs_srcomp.cli.reports import core_log_on_stderr
from vs_srcomp.files import atomic_path

BT709, UNKNOWN = 1, 2

SPLITS = ("time", "file")

# Lightest minus darkest code of a frame that is of use.
_LEAST_CONTRAST = 16


class Videos:
    """Evenly spaced frames of video files, decoded by `vs_srcomp.source`.

    Frames are stored as PNG files in a folder per video, and not kept in memory.
    """

    def __init__(self, *, frames: int = 300, split: str = "time") -> None:
        """Check and store the parameters.

        Args:
            frames: Maximum number of frames per video.
            split: Validation set: ``"time"``, the end of each video; ``"file"``, whole videos.

        Raises:
            ValueError: There is no such split, or ``frames`` is not a whole number of 2 or more.
        """
        if split not in SPLITS:
            raise ValueError(f"split is {' or '.join(SPLITS)}, not {split!r}")
        if not isinstance(frames, int) or frames < 2:
            raise ValueError(f"frames is a whole number of 2 or more, not {frames!r}")
        self.frames, self.split = frames, split

    def files(self, places: Iterable[Path], work: Path) -> list[Path]:
        """See `Material.files`."""
        videos = [
            file
            for place in places
            for file in (sorted(place.iterdir()) if place.is_dir() else [place])
            if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file()
        ]
        check_names(videos)
        found: list[Path] = []
        for file in videos:
            folder = f"{file.stem}-{_state_of(file)}-{self.frames}"
            found += write_frames(file, work / "frames" / folder, self.frames)
        return found

    def measured(self, files: Sequence[Path], share: float, seed: int) -> set[str]:
        """See `Material.measured`."""
        of_video: defaultdict[str, list[str]] = defaultdict(list)
        for path in files:
            of_video[path.parent.name].append(path.stem)
        if self.split == "file":
            return {name for video in shuffled_share(of_video, share, seed) for name in of_video[video]}
        return {name for names in of_video.values() for name in names[len(names) - math.ceil(len(names) * share) :]}


def _state_of(file: Path) -> str:
    """CRC-32 of a file's path, size and time of change, in hexadecimal: a video that replaces it has another one.

    The content itself would take long to read.
    """
    stat = file.stat()
    return f"{zlib.crc32(os.fsencode(f'{file.resolve()} {stat.st_size} {stat.st_mtime_ns}')):08x}"


def write_frames(video: Path, folder: Path, count: int) -> Iterator[Path]:
    """Write ``count`` evenly spaced frames of a video, or all if it has fewer, as PNG files.

    Existing files are kept. Frames that show hardly anything, such as black ones, are left out: nothing can be learned
    from them, and their error is next to none.

    Raises:
        ValueError: The video cannot be read, or has only such frames.
    """
    empty = True
    try:
        with core_log_on_stderr():
            clip = vs_srcomp.source(video)
        chosen = np.unique(np.linspace(0, len(clip) - 1, min(count, len(clip))).round().astype(int))
        folder.mkdir(parents=True, exist_ok=True)
        for number in chosen.tolist():
            path = folder / f"{video.stem}-{number:06}.png"
            if not path.exists():
                rgb = _rgb(clip[number])
                if np.ptp(rgb) < _LEAST_CONTRAST:
                    continue
                with atomic_path(path) as temporary:
                    Image.fromarray(rgb).save(temporary, "PNG")
            empty = False
            yield path
        if empty:
            raise ValueError(f"{video.name} shows nothing in {len(chosen)} evenly spaced frames: leave it out")
    except vs.Error as reason:
        raise ValueError(str(reason).replace("\n", "; ")) from reason


def _rgb(frame: vs.VideoNode) -> np.ndarray:
    with frame.get_frame(0) as held:
        matrix = held.props.get("_Matrix", UNKNOWN)
    as_rgb = frame.resize.Bicubic(format=vs.RGB24, matrix_in=BT709 if matrix == UNKNOWN else matrix)
    return np.stack(clip_planes(as_rgb), -1)
