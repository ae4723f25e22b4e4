"""Joining segments to the finished file."""

import hashlib
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from av.packet import Packet

from vs_srcomp.batch.records import Segment, SegmentRecord, whole_name
from vs_srcomp.errors import error
from vs_srcomp.files import atomic_path, mode_of, rename_without_replacing
from vs_srcomp.media.muxer_errors import writing
from vs_srcomp.media.timestamps import decoding_times
from vs_srcomp.progress import check_cancelled
from vs_srcomp.source.media import VideoPacket
from vs_srcomp.transcode.info import check_unchanged
from vs_srcomp.transcode.job import Job, Result
from vs_srcomp.transcode.prepare import open_job

_AGAIN = "run the same command again, which makes the segment again"


def join(
    job: Job,
    segments: Sequence[Segment],
    records: Sequence[SegmentRecord],
    folder: Path,
    *,
    cancel: threading.Event | None = None,
) -> Result:
    """Mux the segments' packets and the copied streams of the source into ``job.target``, atomically.

    Args:
        job: The job.
        segments: All its segments, in order.
        records: One for each segment, in order.
        folder: The folder of the segments' files, on the file system of the target. The output is written there as
            `whole_name` before it gets its own name; without ``job.overwrite``, it keeps both names.
        cancel: When set, it stops the work.

    Raises:
        vs.Error: A segment's file is missing or damaged, the source has changed, or the output cannot be written.
        CancelledError: ``cancel`` was set.
    """
    began = time.monotonic()
    _check_records(segments, records)
    info = segments[0].info
    whole = folder / whole_name(job.target)
    check_unchanged(job.source, info.source)
    whole.unlink(missing_ok=True)  # it may be a second name of a finished file
    with writing(job.target), open_job(job) as opened:
        try:
            with opened.muxer(whole, info, records[0].stream) as muxer:
                for packet in _packets(records, folder, info.time_base):
                    check_cancelled(cancel)
                    muxer.write(packet)
                muxer.finish()
        except BaseException:
            whole.unlink(missing_ok=True)  # on a full disk, nothing else could be written
            raise
        _publish(whole, job)
    return Result.of(
        job,
        info,
        frames=sum(segment.frames for segment in segments),
        seconds=time.monotonic() - began + sum(record.seconds for record in records),
        models=sum((Counter(record.models) for record in records), Counter()),
    )


def _check_records(segments: Sequence[Segment], records: Sequence[SegmentRecord]) -> None:
    wanted = [(segment.index, segment.first, segment.stop) for segment in segments]
    if wanted != [(record.index, record.first, record.stop) for record in records]:
        raise error("the finished segments are not those of this job", "start the job again")
    if len({record.stream for record in records}) > 1:
        raise error("the segments were encoded with different settings", "start the job again")


def _packets(records: Sequence[SegmentRecord], folder: Path, time_base: Fraction) -> Iterator[VideoPacket]:
    """All packets of the segments, with times on the source's clock. Each file is verified while it is read."""
    times = iter(decoding_times([entry.pts for record in records for entry in record.packets]))
    for record in records:
        digest = hashlib.sha256()
        path = folder / record.file
        try:
            with path.open("rb") as file:
                for entry in record.packets:
                    data = file.read(entry.size)
                    digest.update(data)
                    packet: VideoPacket = Packet(data)  # type: ignore[assignment]  # of no stream yet
                    packet.pts, packet.dts, packet.duration = entry.pts, next(times), entry.duration
                    packet.time_base = time_base
                    packet.is_keyframe = entry.key
                    yield packet
        except FileNotFoundError:
            raise error(f"the segment {str(path)!r} is missing", _AGAIN) from None
        if digest.hexdigest() != record.sha256:
            raise error(f"the segment {str(path)!r} is damaged", _AGAIN)


def _publish(whole: Path, job: Job) -> None:
    """Rename the finished file. What is replaced keeps its permissions and links, as with `atomic_path`."""
    with whole.open("rb") as file:
        os.fsync(file.fileno())
    if not job.overwrite:
        rename_without_replacing(whole, job.target)
        return
    real = job.target.resolve() if job.target.is_symlink() else job.target
    if real.parent.stat().st_dev != whole.stat().st_dev:
        with atomic_path(real) as temporary:
            shutil.copyfile(whole, temporary)
        return
    whole.chmod(mode_of(real))
    whole.replace(real)
