"""Does a lower resolution pay? Quality over bits for AV1 at full size, and at each ratio after upscaling.

Every original is coded with SVT-AV1 at several quantizers, at full size and downscaled by each ratio. Each stream gives
a point per method: ``native`` for full size, Lanczos-5 and the tiers for the ratios.
"""

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from statistics import fmean

import av
import numpy as np
import vapoursynth as vs

from train.clips import FRAMES, list_videos, read_video
from train.coding import encoder_argv
from train.errors import EncoderError
from train.evaluate import REFERENCE, models_of
from train.material.pictures import (
    Plane,
    check_names,
    checksum_of,
    clip_planes,
    list_pictures,
    planes_to_clip,
    read_yuv420,
)
from train.metrics import psnr, vmaf
from train.progress import tracked
from train.table import read_rows, write_rows
from vs_srcomp.files import write_atomically
from vs_srcomp.geometry import RATIOS, ratio_by_name
from vs_srcomp.resample import lanczos5
from vs_srcomp.source import source
from vs_srcomp.upscale import upscale

NATIVE = "native"
FULL_SIZE = "1:1"

STILLS, VIDEOS = "stills", "videos"

LEVELS = (12, 22, 32, 40, 48, 54, 59, 63)
"""Quantizers (``-crf``). Smaller sizes need small ones to reach the same rates."""

ENCODER = ("-c:v", "libsvtav1", "-preset", "8", "-svtav1-params", "lp=1")


@dataclass(frozen=True)
class Point:
    """One original, coded at one size and quantizer, upscaled by one method. Means over its frames."""

    set: str
    """``"stills"`` or ``"videos"``."""
    clip: str
    ratio: str
    """``"1:1"``, ``"2:1"``, ``"8:5"`` or ``"4:3"``."""
    level: int
    """The encoder's quantizer, 0 to 63."""
    method: str
    """``"native"``, ``"lanczos5"`` or a tier."""
    bits_per_pixel: float
    """Bits of the packets over the pixels of the original's frames."""
    psnr_y: float
    """PSNR in dB, against a peak of 255."""
    vmaf_neg: float
    network: str = ""
    """See `digest_of`."""
    checksum: str = ""
    """Of the original; empty in points of before it was stored."""


@dataclass(frozen=True)
class Original:
    """An original: frames of planes, 8-bit 4:2:0, whose sides are multiples of 16."""

    set: str
    clip: str
    frames: Sequence[list[Plane]]

    @cached_property
    def checksum(self) -> str:
        """See `checksum_of`."""
        return checksum_of(self.frames)


def originals(stills: Path | None, videos: Path | None, pictures: int | None = None) -> Iterator[Original]:
    """The first ``pictures`` pictures of a folder, and the videos of another, one at a time.

    Raises:
        ValueError: A folder has none, two files in it have the same name without suffix, or one cannot be read.
    """
    for folder in (stills, videos):
        if folder and not folder.is_dir():
            raise ValueError(f"there is no folder {folder}: --data is the folder with test/kodak and video")
    paths = list_pictures(stills)[:pictures] if stills else []
    films = list_videos(videos) if videos else []
    for folder, found in ((stills, paths), (videos, films)):
        if folder and not found:
            raise ValueError(f"nothing to code is in {folder}")
        check_names(found)
    for path in paths:
        yield Original(STILLS, path.stem, [clip_planes(read_yuv420(path))])
    for path in films:
        yield Original(VIDEOS, path.stem, read_video(path, FRAMES))


def digest_of(ratio: str, method: str) -> str:
    """The beginning of the SHA-256 of the tier's network for a ratio; empty for methods without one."""
    if method in (NATIVE, REFERENCE):
        return ""
    found = models_of(method, ratio_by_name(ratio))
    return found[0].sha256[:12] if found else ""


class Points:
    """All measured points, in a file to which each stream's points are appended."""

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``, which may not exist. Points of other networks than today's are left out."""
        self._path = path
        read = read_rows(path, Point) if path.exists() else []
        self.points = [point for point in read if point.network == digest_of(point.ratio, point.method)]
        self._done = {_key(point) for point in self.points}

    def leave_out_others(self, original: Original) -> None:
        """Leave out points of other originals that had its name. Points without a checksum count as its own."""
        self.points = [
            point
            for point in self.points
            if (point.set, point.clip) != (original.set, original.clip) or point.checksum in ("", original.checksum)
        ]
        self._done = {_key(point) for point in self.points}

    def lacks(self, original: Original, ratio: str, level: int, method: str) -> bool:
        """Whether a point has not been measured."""
        return (original.set, original.clip, ratio, level, method) not in self._done

    def add(self, points: Iterable[Point]) -> None:
        """Store ``points``."""
        self.points += points
        self._done = {_key(point) for point in self.points}
        write_rows(self._path, Point, self.points)


def _key(point: Point) -> tuple[str, str, str, int, str]:
    return point.set, point.clip, point.ratio, point.level, point.method


def measure(
    stills: Path | None,
    videos: Path | None,
    work: Path,
    tiers: Sequence[str],
    *,
    pictures: int | None = None,
    levels: Sequence[int] = LEVELS,
) -> Points:
    """Measure all points that have not been measured; an interrupted run is resumed.

    Args:
        stills: Folder of pictures, not of the training set; None for none.
        videos: Folder of videos of good quality; None for none.
        work: Folder of streams and points.
        tiers: Models besides Lanczos-5.
        pictures: Number of pictures, from the first; all by default.
        levels: Quantizers.

    Returns:
        All points, including those of earlier runs of the same networks and of other tiers.
    """
    points = Points(work / "points.csv")
    for original in tracked(list(originals(stills, videos, pictures)), "coding"):
        points.leave_out_others(original)
        for ratio in (FULL_SIZE, *(ratio.name for ratio in RATIOS)):
            methods = [NATIVE] if ratio == FULL_SIZE else [REFERENCE, *tiers]
            for level in levels:
                missing = [method for method in methods if points.lacks(original, ratio, level, method)]
                if missing:
                    stream = _coded(original, ratio, level, work / "streams")
                    points.add(_measured(original, ratio, level, stream, missing))
    return points


def _coded(original: Original, ratio: str, level: int, folder: Path) -> Path:
    """The stream's file, made if it does not exist."""
    name = f"{original.clip}-{original.checksum}"
    target = folder / original.set / f"{name}-{ratio.replace(':', 'by')}-{level}.ivf"
    if target.exists():
        return target
    height, width = (int(side / _factor(ratio)) for side in original.frames[0][0].shape)
    raw = []
    for planes in original.frames:
        clip = planes_to_clip(planes, vs.YUV420P8)
        lowered = planes if ratio == FULL_SIZE else clip_planes(lanczos5(clip, width, height))
        raw += [plane.tobytes() for plane in lowered]
    argv = encoder_argv(width, height, ENCODER, level, len(original.frames))
    done = subprocess.run(argv, input=b"".join(raw), capture_output=True, check=False)
    if done.returncode:
        raise EncoderError.of(target.name, done.stderr)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, done.stdout)
    return target


def _factor(ratio: str) -> Fraction:
    return Fraction(1) if ratio == FULL_SIZE else ratio_by_name(ratio).factor


def _measured(original: Original, ratio: str, level: int, stream: Path, methods: Sequence[str]) -> Iterator[Point]:
    lumas = [planes[0] for planes in original.frames]
    height, width = lumas[0].shape
    clip = source(stream)
    rate = 8 * coded_bytes(stream) / sum(luma.size for luma in lumas)
    for method in methods:
        if method == NATIVE:
            shown = clip
        elif method == REFERENCE:
            shown = lanczos5(clip, width, height)
        else:
            shown = upscale(clip, ratio=ratio, model=method)
        restored = [np.array(frame[0]) for frame in shown.frames(close=True)]
        yield Point(
            original.set,
            original.clip,
            ratio,
            level,
            method,
            rate,
            fmean(psnr(luma, wanted) for luma, wanted in zip(restored, lumas, strict=True)),
            fmean(score.neg for score in vmaf(restored, lumas, stills=original.set == STILLS)),
            digest_of(ratio, method),
            original.checksum,
        )


def coded_bytes(stream: Path) -> int:
    """Size of a file's video packets, without the container, which is a large share of small stills."""
    with av.open(str(stream)) as container:
        return sum(packet.size for packet in container.demux(video=0))
