"""Disk space of jobs."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from vs_srcomp.batch.records import Segment, SegmentRecord
from vs_srcomp.errors import error
from vs_srcomp.transcode.job import Job, encoder_settings

# For so many pixels, five seconds of 1080p, typical values count as if they had been measured: a short clip says little
# about others.
_TYPICAL = 250_000_000


class DiskSpace:
    """Estimates the disk space of jobs, better with each finished segment."""

    def __init__(self) -> None:
        """Start with typical values of each encoder."""
        self._pixels = 0
        self._bytes = 0

    def learn(self, segment: Segment, record: SegmentRecord) -> None:
        """Learn from a finished segment: all jobs of a batch have the same settings."""
        self._pixels += segment.frames * segment.info.picture.width * segment.info.picture.height
        self._bytes += record.bytes

    def needed(self, job: Job, segments: Sequence[Segment], finished: Iterable[SegmentRecord] = ()) -> int:
        """Bytes that ``job`` needs, about: those of its ``segments`` that are not ``finished``, and the output."""
        of_finished = {record.index: record.bytes for record in finished}
        todo = [segment for segment in segments if segment.index not in of_finished]
        pixels = sum(segment.frames * segment.info.picture.width * segment.info.picture.height for segment in todo)
        joined = sum(of_finished.values())
        copied = segments[0].info.source.bytes  # other streams: at most the whole source
        return round(2 * pixels * self._bytes_per_pixel(job)) + joined + copied

    def check(self, job: Job, needed: int, taken: int) -> None:
        """Raise an error if the disk is too small.

        Args:
            job: The job.
            needed: Bytes that it needs.
            taken: Free bytes that other jobs will need.
        """
        free = free_bytes(job.target.parent)
        if needed > free - taken:
            others = f", of which other clips need {size_text(taken)}" if taken else ""
            raise error(
                f"about {size_text(needed)} are needed for {str(job.target)!r}, and {size_text(free)} are free{others}",
                "free some space, write to another disk, or skip this check with --ignore-space",
            )

    def _bytes_per_pixel(self, job: Job) -> float:
        settings = encoder_settings(job)
        bits = settings.kind.bits_per_pixel
        if settings.kind.crf and settings.crf is not None:
            bits *= 2 ** ((settings.kind.crf.default - settings.crf) / settings.kind.crf.halving)
        return (self._bytes + _TYPICAL * bits / 8) / (self._pixels + _TYPICAL)


def free_bytes(folder: Path) -> int:
    """Free space on the disk of ``folder``, or of its nearest existing parent."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def size_text(size: float) -> str:
    """A number of bytes as text: ``1.5 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
