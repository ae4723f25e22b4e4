"""Who does the work of a batch: the tasks, and what a pool of workers for them must be able to do."""

import errno
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import vapoursynth as vs

from vs_srcomp.batch.cut import cut
from vs_srcomp.batch.join import join
from vs_srcomp.batch.records import Segment, SegmentRecord, Share
from vs_srcomp.batch.segments import encode_segment
from vs_srcomp.encoders.feed import CancelledError
from vs_srcomp.transcode.job import Job
from vs_srcomp.transcode.run import Progress, Result


@dataclass(frozen=True)
class Cut:
    """Cut a job."""

    job: Job

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> list[Segment]:
        """Its segments."""
        return cut(self.job, threads=share.threads)


@dataclass(frozen=True)
class Encode:
    """Encode one segment to ``folder / segment.name``."""

    job: Job
    segment: Segment
    folder: Path

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> SegmentRecord:
        """What became of it."""
        target = self.folder / self.segment.name
        return encode_segment(self.job, self.segment, target, share=share, progress=progress, cancel=cancel)


@dataclass(frozen=True)
class Join:
    """Join the segments of a job, whose files are in ``folder``."""

    job: Job
    segments: Sequence[Segment]
    records: Sequence[SegmentRecord]
    folder: Path

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> Result:
        """The finished file."""
        return join(self.job, self.segments, self.records, self.folder, cancel=cancel)


class Task(Protocol):
    """Something to do: plain data that can be pickled."""

    @property
    def job(self) -> Job:
        """What it is a part of."""

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> Any:
        """Do it, and give what came of it; errors as of the functions above."""


@dataclass(frozen=True)
class Advanced:
    """A task tells how far it is."""

    ticket: int
    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """A task is done; its worker is free again."""

    ticket: int
    value: Any
    """What the task's ``run`` gave."""


@dataclass(frozen=True)
class Failed:
    """A task has failed for good, and would fail again: the pool has already repeated it if its worker was lost."""

    ticket: int
    message: str
    """What went wrong and what to do, as users read it, without the prefix."""
    disk_full: bool = False
    """Whether other tasks that write to the same disk would fail, too."""
    cancelled: bool = False


@dataclass(frozen=True)
class Said:
    """A task has something to tell the user, such as a stream that is left out."""

    ticket: int
    message: str


type Event = Advanced | Said | Finished | Failed


def failed(ticket: int, failure: BaseException) -> Failed:
    """The event of a task that has raised ``failure``."""
    if isinstance(failure, CancelledError):
        return Failed(ticket, "stopped", cancelled=True)
    if isinstance(failure, vs.Error):
        # The core puts the traceback of a frame callback before the message.
        message = str(failure).rpartition("srcomp: ")[2].strip()
    else:
        message = f"{type(failure).__name__}: {failure}"
    return Failed(ticket, message, disk_full=_is_disk_full(failure))


def _is_disk_full(failure: BaseException | None) -> bool:
    while failure is not None:
        if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        failure = failure.__cause__ or failure.__context__
    return False


class Pool(Protocol):
    """Workers for tasks: processes of this machine (`vs_srcomp.batch.local_pool`), or of many."""

    @property
    def size(self) -> int:
        """How many tasks can run at the same time. The caller keeps no more than a few more than these in the pool."""

    def submit(self, task: Task) -> int:
        """Begin ``task`` as soon as a worker is free; gives the ticket that its events carry.

        Encoding tasks of one job are best given to workers that have its source open.
        """

    def wait(self, seconds: float) -> list[Event]:
        """The next events; an empty list if there are none in that time."""

    def cancel(self) -> None:
        """Stop all tasks: each one ends in an event soon, as cancelled if it had not been done."""

    def close(self) -> None:
        """End all workers, whatever they do."""
