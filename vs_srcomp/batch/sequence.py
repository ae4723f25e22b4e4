"""Numbered pictures, in and out: ``frames/%05d.png``."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vs_srcomp.batch.pictures import Resumable
from vs_srcomp.colour_guess import assumed_colours
from vs_srcomp.errors import error
from vs_srcomp.media.containers import CONTAINERS
from vs_srcomp.media.section import check_section, section_of
from vs_srcomp.media.timeline import timeline_of
from vs_srcomp.named_files import check_new_output
from vs_srcomp.source import source
from vs_srcomp.source.media import fraction, local_file, open_container, video_stream
from vs_srcomp.stills.colour import rgb_to_yuv
from vs_srcomp.stills.formats import NUMBER, is_pattern, is_picture, kind_of
from vs_srcomp.stills.from_video import assumed_location
from vs_srcomp.stills.job import PictureJob
from vs_srcomp.stills.metadata import metadata_of
from vs_srcomp.stills.opening import opened
from vs_srcomp.stills.picture import UNSPECIFIED, Metadata, Picture, Tags
from vs_srcomp.stills.reading import frames_of, read_picture


@dataclass(frozen=True, kw_only=True)
class SequenceResult:
    """What has been done."""

    target: Path
    """The pattern."""
    source_size: tuple[int, int] | None
    """Of the first picture that was done; None where all were there already, as for what follows."""
    target_size: tuple[int, int] | None
    count: int
    """Number of pictures."""
    skipped: int
    """How many of them were there already."""
    models: dict[str, int]
    """Number of pictures by name of the model that restored them."""
    seconds: float
    bytes: int
    """Of the files that were written."""
    notes: tuple[str, ...]
    """Of all pictures, each once."""


def upscale_sequence(job: PictureJob, *, progress: Callable[[int, int], None] | None = None) -> SequenceResult:
    """Upscale several pictures, or the frames of a video or an animation, into numbered pictures.

    Numbers of numbered sources are kept; others count from the first frame of the whole video, which is 1, also where
    the job has a start. Each output takes its name only when it is whole, and a folder ``.srcomp`` beside them notes
    what it was made from, so that the next run goes on where this one stopped.

    Args:
        job: Whose target is a pattern, and whose source may be one. ``overwrite`` replaces what is there, unless it
            was made from the same source and settings.
        progress: Called with the number of pictures done and of all pictures.

    Raises:
        vs.Error: The job cannot be done. Outputs before it are whole.
    """
    began = time.monotonic()
    if not is_picture(job.target):
        if job.target.suffix.lower() not in {kind.suffix for kind in CONTAINERS}:
            kind_of(job.target)
        raise error(
            "numbered pictures become numbered pictures, not a video",
            "write such as up/%05d.png, and make a video of them: ffmpeg -framerate 25 -i up/%05d.png out.mkv",
        )
    kind_of(job.target)
    check_section(job.start, job.end)
    if (job.start, job.end) != (None, None) and (is_picture(job.source) or is_pattern(job.source)):
        raise error("a start and an end are for videos, not for pictures", "leave them out")
    for pattern in (job.source, job.target):
        if is_pattern(pattern) and len(NUMBER.findall(pattern.name)) > 1:
            raise error(f"{str(pattern)!r} has more than one number", "leave one, such as %05d")
    if not is_pattern(job.target):
        raise error(
            f"several pictures do not go into one file, {str(job.target)!r}",
            f"number the outputs, such as {str(job.target.with_name(f'%05d{job.target.suffix}'))!r}",
        )
    files = numbered_files(job.source) if is_pattern(job.source) else {}
    pictures: Iterator[Callable[[], Picture]] = (partial(read_picture, file) for file in files.values())
    numbers = list(files)
    if not files:
        numbers, pictures = _pictures(job)
    jobs = [
        replace(job, source=files.get(number, job.source), target=_numbered(job.target, number)) for number in numbers
    ]
    sources = {file.resolve() for file in files.values()}
    for each in jobs:
        if each.target.resolve() in sources:
            raise error("the outputs are the inputs", "number the outputs in another folder, or under another name")
        check_new_output(each.target, each.source, overwrite=True)
    resumable = Resumable(job, restart=job.overwrite, redo="--overwrite")
    models: Counter[str] = Counter()
    notes: dict[str, None] = {}
    size = 0
    sizes: dict[tuple[tuple[int, int], tuple[int, int]], None] = {}
    for done, (each, read) in enumerate(zip(jobs, pictures, strict=True), start=1):
        if result := resumable.upscale(each, read):
            models[result.model] += 1
            notes |= dict.fromkeys(result.notes)
            sizes[result.source_size, result.target_size] = None
            size += result.bytes
        if progress:
            progress(done, len(jobs))
    if len(sizes) > 1:
        notes[f"its pictures have {len(sizes)} different sizes, and so have the outputs"] = None
    source_size, target_size = next(iter(sizes), (None, None))
    return SequenceResult(
        target=job.target,
        source_size=source_size,
        target_size=target_size,
        count=len(jobs),
        skipped=len(jobs) - models.total(),
        models=dict(models),
        seconds=time.monotonic() - began,
        bytes=size,
        notes=tuple(notes),
    )


# EXIF's orientation for the properties of `vs_srcomp.source`: a vertical flip or none, then degrees clockwise.
_ORIENTATIONS = {(0, 0): 1, (1, 180): 2, (0, 180): 3, (1, 0): 4, (1, 90): 5, (0, 90): 6, (1, 270): 7, (0, 270): 8}


def numbered_files(pattern: Path) -> dict[int, Path]:
    """The files that ``pattern`` stands for by number, in order; there may be gaps.

    Raises:
        vs.Error: There are none, or two of one number.
    """
    match = NUMBER.search(pattern.name)
    assert match is not None
    before, behind = pattern.name[: match.start()], pattern.name[match.end() :]
    # As printf writes them: zeros lead only up to that many digits.
    digits = rf"\d{{{int(match[1])}}}|[1-9]\d{{{int(match[1])},}}" if match[1] else r"\d+"
    wanted = re.compile(f"{re.escape(before)}({digits}){re.escape(behind)}")
    names = pattern.parent.iterdir() if pattern.parent.is_dir() else iter(())
    found: dict[int, Path] = {}
    for file in names:
        if match := wanted.fullmatch(file.name):
            other = found.setdefault(int(match[1]), file)
            if other is not file:
                both = " and ".join(sorted((other.name, file.name)))
                raise error(f"{both} have the same number", f"keep one of them in {str(pattern.parent)!r}")
    if not found:
        raise error(f"no file has a name like {str(pattern)!r}", "check the folder, and how many digits there are")
    return dict(sorted(found.items()))


def _numbered(pattern: Path, number: int) -> Path:
    return pattern.with_name(NUMBER.sub(lambda match: f"{number:0{int(match[1] or 0)}d}", pattern.name, count=1))


def _pictures(job: PictureJob) -> tuple[list[int], Iterator[Callable[[], Picture]]]:
    """The numbers of the pictures in the job's source, and what reads each of them, in order."""
    file, described = job.source, None
    if is_picture(file):
        with opened(file) as image:
            count = getattr(image, "n_frames", 1)
            if count > 1 and image.format == "AVIF":  # YUV of up to 12 bits, which Pillow has in RGB of 8
                metadata, orientation, notes = metadata_of(image, UNSPECIFIED, None)
                if "A" in image.getbands():
                    notes = (*notes, "the alpha of an animation is left out")
                described = _Described(metadata, orientation, notes)
        if count == 1:
            return [1], iter([partial(read_picture, file)])
        if described is None:
            # Each is what changes in the one before, which has to be decoded in any case.
            return list(range(1, count + 1)), (partial(_itself, picture) for picture in frames_of(file))
    clip = source(file)
    numbers = _frames(file, clip, job.start, job.end)
    return [number + 1 for number in numbers], (partial(_frame, clip[number], described) for number in numbers)


def _frames(file: Path, clip: vs.VideoNode, start: Fraction | None, end: Fraction | None) -> range:
    """The frames of ``clip``, which is that of ``file``, that are shown from ``start`` to ``end``."""
    if start is None and end is None:
        return range(clip.num_frames)
    name = local_file(file)
    with open_container(name) as container:
        time_base = fraction(video_stream(container, 0).time_base)
        section = section_of(start, end, clip, container, lambda: timeline_of(name, time_base))
    return range(section.first, section.stop)


def _itself(picture: Picture) -> Picture:
    return picture


@dataclass(frozen=True)
class _Described:
    """What an animation has beside its samples."""

    metadata: Metadata
    orientation: int
    notes: tuple[str, ...]


def _frame(clip: vs.VideoNode, described: _Described | None = None) -> Picture:
    """A frame of a video, or of the animation that is ``described``; its colours are what players take them for."""
    props = clip.get_frame(0).props
    tags = Tags(props.get("_Primaries", 2), props.get("_Transfer", 2))
    bits = clip.format.bits_per_sample
    turn = int(props.get("FlipVertical", 0)), int(props.get("Rotation", 0))
    subsampling = clip.format.subsampling_w, clip.format.subsampling_h
    if described:
        clip = clip.std.SetFrameProps(**assumed_location(clip.format, props))
    described = described or _Described(Metadata(), _ORIENTATIONS.get(turn, 1), ())
    notes = described.notes
    if (shape := Fraction(props.get("_SARNum", 1), props.get("_SARDen", 1) or 1)) != 1:
        notes = (*notes, f"its pixels are {shape} times as wide as high, which pictures cannot state")
    of_file: dict[str, Any] = {
        "bits": bits,
        "subsampling": subsampling,
        "metadata": replace(described.metadata, tags=tags),
        "orientation": described.orientation,
        "notes": notes,
    }
    if clip.format.color_family == vs.RGB:
        return Picture(clip=rgb_to_yuv(clip), is_rgb=True, **of_file)
    colours = assumed_colours(props, clip.width, clip.height)
    limited = props.get("_Range", vs.RANGE_LIMITED)
    clip = clip.std.SetFrameProps(_Matrix=colours.matrix, _Primaries=colours.primaries, _Range=int(limited))
    return Picture(clip=clip, q=props.get("SrcompQ"), **of_file)
