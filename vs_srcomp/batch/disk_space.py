"""How much room on the disk a job will take."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from vs_srcomp.batch.records import Segment, SegmentRecord
from vs_srcomp.errors import error
from vs_srcomp.transcode.job import Job, encoder_settings

# Bits of an output pixel at the encoder's default CRF, for content of middling detail, and by how much CRF has to rise
# to halve them: measured with upscaled AV1 clips. These only have to be of the right order, because a disk that gets
# full in spite of them costs nothing but another start.
_BITS_PER_PIXEL = {
    "svt-av1": (0.06, 9.0),
    "x264": (0.2, 6.0),
    "x265": (0.1, 6.0),
    "ffv1": (6.0, 1.0),
    "pipe": (0.2, 1.0),
}


class Room:
    """Estimates, which get better with each segment that is finished."""

    def __init__(self) -> None:
        """Know nothing but what is usual."""
        self._pixels = 0
        self._bytes = 0

    def learn(self, segment: Segment, record: SegmentRecord) -> None:
        """Take a finished segment into account: the jobs of a batch have their settings in common."""
        self._pixels += segment.frames * segment.outline.picture.width * segment.outline.picture.height
        self._bytes += record.bytes

    def needed(self, job: Job, segments: Iterable[Segment]) -> int:
        """About how many bytes the output of ``job`` takes while it is made: its segments, and all of it again."""
        todo = list(segments)
        if not todo:
            return 0
        picture = todo[0].outline.picture
        pixels = sum(segment.frames for segment in todo) * picture.width * picture.height
        copied = todo[0].outline.source.bytes  # sound and the rest: no more than all of the source
        return round(2 * pixels * self._bytes_per_pixel(job)) + copied

    def check(self, job: Job, needed: int, taken: int) -> None:
        """Raise an error if a disk has no room.

        Args:
            job: What is to be done.
            needed: How many bytes it needs.
            taken: How many of those that are free others are going to need.
        """
        free = free_bytes(job.target.parent)
        if needed > free - taken:
            others = f", of which other clips need {size_text(taken)}" if taken else ""
            raise error(
                f"about {size_text(needed)} are needed for {str(job.target)!r}, and {size_text(free)} are free{others}",
                "free some space, write to another disk, or try it all the same with --ignore-space",
            )

    def _bytes_per_pixel(self, job: Job) -> float:
        if self._pixels:
            return self._bytes / self._pixels
        settings = encoder_settings(job)
        bits, halving = _BITS_PER_PIXEL[settings.kind.name]
        if settings.kind.crf and settings.crf is not None:
            bits *= 2 ** ((settings.kind.crf[2] - settings.crf) / halving)
        return bits / 8


def free_bytes(folder: Path) -> int:
    """Room on the disk of ``folder``, or of the nearest of its parents that exists."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def size_text(size: float) -> str:
    """A number of bytes as people read it: ``1.5 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
