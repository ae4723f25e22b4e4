"""The tasks of a batch, the events that they end in, and the interface of the pools that run them."""

import errno
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import vapoursynth as vs

from vs_srcomp.batch.cut import cut
from vs_srcomp.batch.join import join
from vs_srcomp.batch.records import Segment, SegmentRecord, Share
from vs_srcomp.batch.segments import encode_segment
from vs_srcomp.errors import PREFIX, message_of
from vs_srcomp.progress import CancelledError, Progress
from vs_srcomp.transcode.job import Job, Result


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
        """What the segment's file holds."""
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
    """A piece of work: plain data that can be pickled."""

    @property
    def job(self) -> Job:
        """The job that it belongs to."""

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> Any:
        """Do the work and return its result; errors are those of the functions above."""


@dataclass(frozen=True)
class Advanced:
    """A task has made progress."""

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
    """What is wrong and what to do, without the package's prefix."""
    disk_full: bool = False
    """Whether other tasks that write to the same disk would fail, too."""
    cancelled: bool = False


@dataclass(frozen=True)
class Logged:
    """A task has logged a message for the user, such as a stream that is left out."""

    ticket: int
    message: str


type Event = Advanced | Logged | Finished | Failed


def failed(ticket: int, failure: BaseException) -> Failed:
    """The event of a task that has raised ``failure``."""
    if isinstance(failure, CancelledError):
        return Failed(ticket, "stopped", cancelled=True)
    message = message_of(failure) if isinstance(failure, vs.Error) else f"{type(failure).__name__}: {failure}"
    return Failed(ticket, message, disk_full=_is_disk_full(failure))


def forward_log(send: Callable[[str], None]) -> vs.LogHandle:
    """Send the package's log messages, without their prefix, until the handle is removed from the core."""

    def forward(kind: vs.MessageType, message: str) -> None:
        if message.startswith(PREFIX):
            send(message.removeprefix(PREFIX))

    return vs.core.add_log_handler(forward)


def _is_disk_full(failure: BaseException | None) -> bool:
    while failure is not None:
        if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        failure = failure.__cause__ or failure.__context__
    return False


class Pool(Protocol):
    """Workers for tasks: processes of this machine (`vs_srcomp.batch.local_pool`), or of a cluster."""

    @property
    def size(self) -> int:
        """How many tasks can run at the same time. The caller keeps no more than a few more than these in the pool."""

    def submit(self, task: Task) -> int:
        """Begin ``task`` as soon as a worker is free; returns the ticket that its events carry.

        Encoding tasks of one job are best given to workers that have its source open.
        """

    def wait(self, seconds: float) -> list[Event]:
        """The next events; an empty list if there are none in that time."""

    def cancel(self) -> None:
        """Stop all tasks. Each ends in an event soon: as cancelled, unless it is done."""

    def close(self) -> None:
        """End all workers."""
