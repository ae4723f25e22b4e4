"""Many jobs on a pool of workers, in any number of attempts."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import vapoursynth as vs

from vs_srcomp.batch.checkpoint import Ledger, Standing
from vs_srcomp.batch.disk_space import Room
from vs_srcomp.batch.identity import identity_of
from vs_srcomp.batch.pool import Advanced, Cut, Encode, Event, Failed, Finished, Join, Pool, Said, Task, failed
from vs_srcomp.batch.records import Segment, SegmentRecord
from vs_srcomp.errors import error
from vs_srcomp.transcode.job import Job
from vs_srcomp.transcode.run import Result, writing

# Tasks that wait for a worker, so that none has to wait for a task.
_QUEUED = 1

# Seconds between two looks at whether the batch has been cancelled.
_BETWEEN_LOOKS = 0.25

# Seconds between two attempts at a clip that another process works on.
_LOCKED_PAUSE = 1.0

# Seconds that tasks get to stop.
_PATIENCE = 20.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a job."""

    job: Job
    status: Literal["done", "skipped", "failed", "cancelled"]
    """Skipped is what was finished before."""
    message: str = ""
    """Why it is not done, and what to do about it."""
    notes: tuple[str, ...] = ()
    """What users should know of the output, such as streams that are left out."""
    result: Result | None = None
    """Of what is done."""
    segments: int = 0
    """How many there are."""
    reused: int = 0
    """How many of them an earlier run had finished."""
    seconds: float = 0.0
    """From the beginning of the job to its end, while others were under way."""
    checks: dict[str, Any] = field(default_factory=dict)
    """What each check of the output has found, by its name."""


class Watcher(Protocol):
    """Somebody who wants to know how a batch goes on."""

    def began(self, job: Job) -> None:
        """Work on ``job`` has begun."""

    def advanced(self, job: Job, done: int, total: int) -> None:
        """So many of its frames are done."""

    def ended(self, outcome: Outcome) -> None:
        """A job is done, or will not be."""


class Check(Task, Protocol):
    """Something to find out about a finished output. Its ``run`` gives JSON values, or raises vs.Error."""

    @property
    def name(self) -> str:
        """What the report calls it."""


@dataclass
class _Clip:
    """A job under way."""

    job: Job
    ledger: Ledger
    began: float
    segments: list[Segment] = field(default_factory=list)
    records: dict[int, SegmentRecord] = field(default_factory=dict)
    todo: deque[Segment] = field(default_factory=deque)
    flying: dict[int, Task] = field(default_factory=dict)
    """Its tasks in the pool, by ticket."""
    frames: dict[int, int] = field(default_factory=dict)
    """Frames that are done of each of them."""
    notes: list[str] = field(default_factory=list)
    failure: str = ""
    reused: int = 0
    result: Result | None = None
    checks: dict[str, Any] = field(default_factory=dict)

    def done_frames(self) -> int:
        """Of all segments."""
        return sum(record.frames for record in self.records.values()) + sum(self.frames.values())


def run_batch(
    jobs: Sequence[Job],
    pool: Pool,
    watcher: Watcher,
    *,
    restart: bool = False,
    ignore_space: bool = False,
    checks: Sequence[Callable[[Job], Check]] = (),
    cancel: threading.Event | None = None,
) -> Counter[str]:
    """Do all of ``jobs``; what one of them meets is no matter for the others.

    What an earlier run has finished, whole outputs or segments, is taken over if it was made from the same source with
    the same settings, models and versions. Whatever interrupts a run leaves what is finished for the next one. A clip
    that another process works on is put off until that has ended.

    Args:
        jobs: What to do. ``overwrite`` replaces files that no batch has made.
        pool: Who does it; it is not closed.
        watcher: Told how it goes on, and the outcome of every job.
        restart: Do anew what was begun or made from something else, which is an error if not.
        ignore_space: Begin jobs that the disk seems to have no room for.
        checks: Made of each finished output.
        cancel: Stops the work when set.

    Returns:
        Number of jobs by status.
    """
    return _Batch(jobs, pool, watcher, restart, ignore_space, checks, cancel or threading.Event()).run()


class _Batch:
    def __init__(
        self,
        jobs: Sequence[Job],
        pool: Pool,
        watcher: Watcher,
        restart: bool,
        ignore_space: bool,
        checks: Sequence[Callable[[Job], Check]],
        cancelled: threading.Event,
    ) -> None:
        self._waiting = deque(jobs)
        self._locked: deque[Job] = deque()
        self._locked_until = 0.0
        self._pool = pool
        self._watcher = watcher
        self._restart = restart
        self._ignore_space = ignore_space
        self._checks = checks
        self._cancelled = cancelled
        self._clips: list[_Clip] = []
        self._room = Room()
        self._stop = ""
        self._counts: Counter[str] = Counter()

    def run(self) -> Counter[str]:
        with ExitStack() as cleaning:
            # Whatever happens, nothing is left to run and no lock is held.
            cleaning.callback(self._cancel)
            while (self._waiting or self._locked or self._clips) and not self._cancelled.is_set():
                self._fill()
                for event in self._pool.wait(_BETWEEN_LOOKS):
                    self._handle(event)
        return self._counts

    def _fill(self) -> None:
        """Give the pool as much as it can do."""
        while sum(len(clip.flying) for clip in self._clips) < self._pool.size + _QUEUED:
            clip = next((clip for clip in self._clips if clip.todo), None)
            if clip:
                segment = clip.todo.popleft()
                self._submit(clip, Encode(clip.job, segment, clip.ledger.parts))
            elif job := self._next_job():
                self._begin(job)
            else:
                return

    def _next_job(self) -> Job | None:
        if self._waiting:
            return self._waiting.popleft()
        if self._locked and time.monotonic() >= self._locked_until:
            self._locked_until = time.monotonic() + _LOCKED_PAUSE
            self._waiting.extend(self._locked)
            self._locked.clear()
            return self._waiting.popleft()
        return None

    def _begin(self, job: Job) -> None:
        ledger = Ledger(job.target)
        clip = _Clip(job, ledger, time.monotonic())
        try:
            if self._stop:
                raise vs.Error(f"srcomp: not begun, because of another clip: {self._stop}")
            _check_target(job)
            identity = identity_of(job)
            with writing(job.target):
                if not ledger.acquire():
                    self._locked.append(job)
                    return
        except Exception as failure:
            self._end(clip, "failed", failed(0, failure).message)
            return
        self._clips.append(clip)
        try:
            with writing(job.target):
                standing = ledger.begin(identity, restart=self._restart, overwrite=job.overwrite)
        except Exception as failure:
            self._fail(clip, failed(0, failure))
            return
        if standing is Standing.FINISHED:
            self._end(clip, "skipped")
            return
        # Whether an output may be replaced has been found out.
        clip.job = replace(job, overwrite=ledger.replaces)
        self._watcher.began(job)
        self._submit(clip, Cut(clip.job))

    def _submit(self, clip: _Clip, task: Task) -> None:
        clip.flying[self._pool.submit(task)] = task

    def _handle(self, event: Event) -> None:
        clip = next((clip for clip in self._clips if event.ticket in clip.flying), None)
        if clip is None:
            return
        if isinstance(event, Said):
            if event.message not in clip.notes:
                clip.notes.append(event.message)
            return
        if isinstance(event, Advanced):
            if isinstance(clip.flying[event.ticket], Encode):
                clip.frames[event.ticket] = event.done
                self._show(clip)
            return
        task = clip.flying.pop(event.ticket)
        clip.frames.pop(event.ticket, None)
        try:
            with writing(clip.job.target):
                if isinstance(event, Finished):
                    self._proceed(clip, task, event)
                elif clip.result and not event.cancelled:
                    clip.ledger.reject()
        except Exception as failure:
            event = failed(0, failure)
        if isinstance(event, Failed):
            self._fail(clip, event)

    def _proceed(self, clip: _Clip, task: Task, event: Finished) -> None:
        """What comes after a task of ``clip``."""
        if isinstance(task, Cut):
            self._take_segments(clip, event.value)
        elif isinstance(task, Encode):
            clip.ledger.add(event.value)
            clip.records[task.segment.index] = event.value
            self._room.learn(task.segment, event.value)
        elif isinstance(task, Join):
            clip.result = event.value
        else:
            clip.checks[task.name] = event.value  # type: ignore[attr-defined]
        self._show(clip)
        if clip.failure:
            self._end_failed(clip)
        elif clip.todo or clip.flying:
            return
        elif clip.result is None:
            records = [clip.records[segment.index] for segment in clip.segments]
            self._submit(clip, Join(clip.job, clip.segments, records, clip.ledger.parts))
        elif len(clip.checks) < len(self._checks):
            self._submit(clip, self._checks[len(clip.checks)](clip.job))
        else:
            clip.ledger.finish(clip.result)
            self._end(clip, "done")

    def _take_segments(self, clip: _Clip, segments: list[Segment]) -> None:
        clip.segments = segments
        clip.records = clip.ledger.keep_segments(segments)
        clip.reused = len(clip.records)
        clip.todo.extend(segment for segment in segments if segment.index not in clip.records)
        if not self._ignore_space:
            others = sum(self._room.needed(other.job, other.todo) for other in self._clips if other is not clip)
            self._room.check(clip.job, self._room.needed(clip.job, clip.todo), others)

    def _show(self, clip: _Clip) -> None:
        if clip.segments:
            self._watcher.advanced(clip.job, clip.done_frames(), sum(segment.frames for segment in clip.segments))

    def _fail(self, clip: _Clip, event: Failed) -> None:
        clip.failure = clip.failure or event.message
        clip.todo.clear()
        if event.disk_full and not self._stop:
            # What others do goes to the same disk, and would fail one after another.
            self._stop = event.message
            for other in [other for other in self._clips if other.todo and other is not clip]:
                other.failure = event.message
                other.todo.clear()
                self._end_failed(other)
        self._end_failed(clip)

    def _end_failed(self, clip: _Clip) -> None:
        """What is still under way is finished first: the next run can use it."""
        if not clip.flying:
            self._end(clip, "failed", clip.failure)

    def _end(self, clip: _Clip, status: Literal["done", "skipped", "failed", "cancelled"], message: str = "") -> None:
        if clip in self._clips:
            self._clips.remove(clip)
            clip.ledger.release()
        self._counts[status] += 1
        self._watcher.ended(
            Outcome(
                job=clip.job,
                status=status,
                message=message,
                notes=tuple(clip.notes),
                result=clip.result,
                segments=len(clip.segments),
                reused=clip.reused,
                seconds=time.monotonic() - clip.began,
                checks=clip.checks,
            )
        )

    def _cancel(self) -> None:
        """Stop everything, and keep what is finished."""
        if not self._clips:
            return
        self._pool.cancel()
        deadline = time.monotonic() + _PATIENCE
        for clip in self._clips:
            clip.todo.clear()
        while any(clip.flying for clip in self._clips) and time.monotonic() < deadline:
            for event in self._pool.wait(0.2):
                self._keep(event)
        for clip in list(self._clips):
            self._end(clip, "cancelled", "stopped; the same command goes on with it")

    def _keep(self, event: Event) -> None:
        for clip in self._clips:
            task = clip.flying.get(event.ticket)
            if task is None or isinstance(event, Advanced | Said):
                continue
            del clip.flying[event.ticket]
            if isinstance(event, Finished) and isinstance(task, Encode):
                with suppress(OSError):
                    clip.ledger.add(event.value)


def _check_target(job: Job) -> None:
    """Raise the error of a target that could never be replaced, whatever the user says."""
    if job.target.exists():
        if job.source.exists() and job.target.samefile(job.source):
            raise error("the output is the input", "give the output another name")
        if not job.target.is_file():
            raise error(f"{str(job.target)!r} is not a file", "give the output another name")
