"""The tasks of a batch, their events, and the interface of pools."""

import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

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
        """The record of the segment."""
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
    """A unit of work: plain data that can be pickled."""

    @property
    def job(self) -> Job:
        """Its job."""

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> Any:
        """Do the work and return its result. Raises the errors of the functions above."""


@runtime_checkable
class Check(Task, Protocol):
    """A check of a finished output. ``run`` returns JSON values, or raises vs.Error."""

    @property
    def name(self) -> str:
        """Its name in the report."""

    @property
    def key(self) -> str:
        """Its name, and what else it depends on: what has passed a check of the same key is not checked again."""

    @property
    def rejects(self) -> bool:
        """Whether an output that fails it is wrong; else the output stays as finished, and can be checked again."""


@dataclass(frozen=True)
class Advanced:
    """Progress of a task."""

    ticket: int
    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """A task is done, and its worker is free."""

    ticket: int
    value: Any
    """The result of the task's ``run``."""


@dataclass(frozen=True)
class Failed:
    """A task has failed. The pool has already repeated it if its worker was lost."""

    ticket: int
    message: str
    """The error without the package's prefix."""
    disk_full: bool = False
    """Whether other tasks that write to this disk would fail, too."""
    cancelled: bool = False


@dataclass(frozen=True)
class Logged:
    """A message of a task for the user, such as a stream that is left out."""

    ticket: int
    message: str


type Event = Advanced | Logged | Finished | Failed


def failed(ticket: int, failure: BaseException) -> Failed:
    """The event for a task that has raised ``failure``."""
    if isinstance(failure, CancelledError):
        return Failed(ticket, "stopped", cancelled=True)
    return Failed(ticket, description_of(failure), disk_full=_is_disk_full(failure))


def description_of(failure: BaseException) -> str:
    """What is wrong and what to do; of other errors than the package's, their type and text."""
    return message_of(failure) if isinstance(failure, vs.Error) else f"{type(failure).__name__}: {failure}"


def forward_log(send: Callable[[str], None]) -> vs.LogHandle:
    """Send the package's log messages, without their prefix, until the handle is removed."""

    def forward(kind: vs.MessageType, message: str) -> None:
        if message.startswith(PREFIX):
            send(message.removeprefix(PREFIX))

    return vs.core.add_log_handler(forward)


@contextmanager
def heard(send: Callable[[str], None]) -> Iterator[None]:
    """In this block, send the messages that are logged, as `forward_log` does."""
    handle = forward_log(send)
    try:
        yield
    finally:
        vs.core.remove_log_handler(handle)


def _is_disk_full(failure: BaseException | None) -> bool:
    while failure is not None:
        if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        failure = failure.__cause__ or failure.__context__
    return False


class Pool(Protocol):
    """Workers for tasks: processes on this machine (`vs_srcomp.batch.local_pool`) or on a cluster."""

    @property
    def size(self) -> int:
        """Number of tasks that can run at the same time. Callers submit only a few more."""

    def submit(self, task: Task) -> int:
        """Run ``task`` as soon as a worker is free. Returns the ticket in its events.

        Pools should prefer workers that have the source of the task's job open.
        """

    def wait(self, seconds: float) -> list[Event]:
        """Wait for events; an empty list if there are none in that time."""

    def cancel(self) -> None:
        """Stop all tasks. Each soon ends in an event: cancelled, unless it is done."""

    def close(self) -> None:
        """Stop all workers."""
