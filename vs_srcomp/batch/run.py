"""Many jobs on a pool of workers, which can be stopped and resumed."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from vs_srcomp.batch.checkpoint import Checkpoint, State
from vs_srcomp.batch.disk_space import DiskSpace
from vs_srcomp.batch.identity import identity_of
from vs_srcomp.batch.job_report import Status, Watcher
from vs_srcomp.batch.pool import (
    Advanced,
    Check,
    Cut,
    Encode,
    Event,
    Failed,
    Finished,
    Join,
    Logged,
    Pool,
    Task,
    description_of,
    failed,
    heard,
)
from vs_srcomp.batch.records import Segment
from vs_srcomp.batch.running_job import RunningJob
from vs_srcomp.errors import error
from vs_srcomp.media.muxer_errors import writing
from vs_srcomp.named_files import check_replaceable
from vs_srcomp.transcode.job import Job

# Tasks in the pool's queue, so that no worker waits for a task.
_QUEUED = 1

# Seconds between checks for cancellation.
_BETWEEN_LOOKS = 0.25

# Seconds between attempts at a job that another process works on.
_LOCKED_PAUSE = 1.0

# Seconds for tasks to stop.
_PATIENCE = 20.0


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
    """Do all of ``jobs``. An error in one does not stop the others.

    Finished outputs and segments of earlier runs are kept if source, settings, models and versions are the same. A job
    that another process works on waits for it.

    Args:
        jobs: The jobs. ``overwrite`` replaces files that no batch has made.
        pool: Runs the tasks; it is not closed.
        watcher: Receives the progress, and a report of every job.
        restart: Start again if the identity of a job has changed; otherwise that is an error.
        ignore_space: Begin jobs even if the disk seems too small.
        checks: Checks of each finished output; what has passed one in an earlier run is not checked again.
        cancel: When set, it stops the work.

    Returns:
        Number of jobs by status.
    """
    return _Batch(deque(jobs), pool, watcher, restart, ignore_space, checks, cancel or threading.Event()).run()


@dataclass
class _Batch:
    waiting: deque[Job]
    pool: Pool
    watcher: Watcher
    restart: bool
    ignore_space: bool
    checks: Sequence[Callable[[Job], Check]]
    cancelled: threading.Event
    general: set[str] = field(default_factory=set)
    """Messages about this machine and the networks, which are not about a job."""
    locked: deque[Job] = field(default_factory=deque)
    """Those that other processes work on."""
    locked_until: float = 0.0
    announced: set[Path] = field(default_factory=set)
    """Targets of those whose waiting has been announced."""
    active: list[RunningJob] = field(default_factory=list)
    space: DiskSpace = field(default_factory=DiskSpace)
    stop: str = ""
    """Why no further job begins."""
    counts: Counter[str] = field(default_factory=Counter)

    def run(self) -> Counter[str]:
        try:
            while (self.waiting or self.locked or self.active) and not self.cancelled.is_set():
                self._fill()
                for event in self.pool.wait(_BETWEEN_LOOKS):
                    self._handle(event)
        finally:  # no task keeps running and no lock is held
            self._cancel()
        return self.counts

    def _fill(self) -> None:
        """Submit as many tasks as the pool can run."""
        while sum(len(current.running) for current in self.active) < self.pool.size + _QUEUED:
            current = next((current for current in self.active if current.todo), None)
            if current:
                segment = current.todo.popleft()
                self._submit(current, Encode(current.job, segment, current.checkpoint.parts))
            elif job := self._next_job():
                self._begin(job)
            else:
                return

    def _next_job(self) -> Job | None:
        if self.waiting:
            return self.waiting.popleft()
        if self.locked and time.monotonic() >= self.locked_until:
            self.locked_until = time.monotonic() + _LOCKED_PAUSE
            self.waiting.extend(self.locked)
            self.locked.clear()
            return self.waiting.popleft()
        return None

    def _begin(self, job: Job) -> None:
        checkpoint = Checkpoint(job.target)
        current = RunningJob(job, checkpoint, time.monotonic())
        try:
            if self.stop:
                what, _, remedy = self.stop.rpartition("\n")
                raise error(f"not begun, because of another clip: {what}", remedy)
            with heard(self.general.add):  # it looks for a backend, and reads networks, but opens no clip
                identity = identity_of(job)
            with writing(job.target):
                check_replaceable(job.target, job.source)
                if not checkpoint.acquire():
                    self._wait_for(job)
                    return
        except Exception as failure:
            self._end(current, "failed", description_of(failure))
            return
        self.active.append(current)
        try:
            checks = [make(job) for make in self.checks]
            with writing(job.target):
                names = {check.name for check in checks}
                state = checkpoint.begin(identity, restart=self.restart, overwrite=job.overwrite, checks=names)
        except Exception as failure:
            self._fail(current, failed(0, failure))
            return
        if state is State.FINISHED:
            current.was_finished = True
            current.to_check.extend(
                check for check in checks if check.key not in checkpoint.passed or check.name == checkpoint.rejected
            )
            if current.to_check:
                self._submit(current, current.to_check.popleft())
            else:
                self._end(current, "skipped")
            return
        current.to_check.extend(checks)
        # The checkpoint knows whether the output may be replaced.
        current.job = replace(job, overwrite=checkpoint.replaces)
        self.watcher.began(job)
        self._submit(current, Cut(current.job))

    def _wait_for(self, job: Job) -> None:
        """Try ``job`` again later."""
        self.locked.append(job)
        if job.target not in self.announced:
            self.announced.add(job.target)
            self.watcher.waiting(job)

    def _submit(self, current: RunningJob, task: Task) -> None:
        current.running[self.pool.submit(task)] = task

    def _handle(self, event: Event) -> None:
        current = next((current for current in self.active if event.ticket in current.running), None)
        if current is None:
            return
        if isinstance(event, Logged):
            if event.message not in self.general and event.message not in current.notes:
                current.notes.append(event.message)
            return
        if isinstance(event, Advanced):
            if isinstance(current.running[event.ticket], Encode):
                current.frames[event.ticket] = event.done
                self._show(current)
            return
        task = current.running.pop(event.ticket)
        current.frames.pop(event.ticket, None)
        try:
            with writing(current.job.target):
                if isinstance(event, Finished):
                    self._proceed(current, task, event)
                elif isinstance(task, Check) and not event.cancelled:
                    self._note_failure(current, task)
        except Exception as failure:
            event = failed(0, failure)
        if isinstance(event, Failed):
            self._fail(current, event)

    def _proceed(self, current: RunningJob, task: Task, event: Finished) -> None:
        """Continue after a task of ``current``."""
        if isinstance(task, Cut):
            self._take_segments(current, event.value)
        elif isinstance(task, Encode):
            current.checkpoint.add(event.value)
            current.records[task.segment.index] = event.value
            self.space.learn(task.segment, event.value)
        elif isinstance(task, Join):
            current.result = event.value
        elif isinstance(task, Check):
            current.checks[task.name] = event.value
            current.passed.append(task.key)
        self._show(current)
        if current.failure:
            self._end_failed(current)
        elif current.todo or current.running:
            return
        elif current.result is None and not current.was_finished:
            records = [current.records[segment.index] for segment in current.segments]
            self._submit(current, Join(current.job, current.segments, records, current.checkpoint.parts))
        elif current.to_check:
            self._submit(current, current.to_check.popleft())
        else:
            self._store_passed(current)
            self._end(current, "skipped" if current.result is None else "done")

    def _note_failure(self, current: RunningJob, check: Check) -> None:
        """Note that the output of ``current`` has failed ``check``."""
        if check.rejects:
            current.checkpoint.reject(check.name)
        else:
            self._store_passed(current)

    def _store_passed(self, current: RunningJob) -> None:
        """Store that the output of ``current`` is finished, with the checks that it has passed."""
        if current.result is None:  # an earlier run has finished it
            current.checkpoint.accept(current.passed, current.checks)
        else:
            current.checkpoint.finish(current.result, current.passed)

    def _take_segments(self, current: RunningJob, segments: list[Segment]) -> None:
        current.segments = segments
        current.records = current.checkpoint.keep_segments(segments)
        current.reused = len(current.records)
        current.todo.extend(segment for segment in segments if segment.index not in current.records)
        if not self.ignore_space:
            others = sum(self._space_of(other) for other in self.active if other is not current)
            self.space.check(current.job, self._space_of(current), others)

    def _space_of(self, current: RunningJob) -> int:
        """Bytes that ``current`` still needs."""
        is_joined = not current.segments or current.result is not None
        return 0 if is_joined else self.space.needed(current.job, current.segments, current.records.values())

    def _show(self, current: RunningJob) -> None:
        if current.segments:
            self.watcher.advanced(
                current.job, current.done_frames(), sum(segment.frames for segment in current.segments)
            )

    def _fail(self, current: RunningJob, event: Failed) -> None:
        current.failure = current.failure or event.message
        current.todo.clear()
        if event.disk_full and not self.stop:
            # Other jobs write to the same disk, and would fail one after another.
            self.stop = event.message
            for other in [other for other in self.active if other.todo and other is not current]:
                what, _, remedy = event.message.rpartition("\n")
                other.failure = f"stopped, because of another clip: {what}\n{remedy}"
                other.todo.clear()
                self._end_failed(other)
        self._end_failed(current)

    def _end_failed(self, current: RunningJob) -> None:
        """End a failed job once its running tasks are finished: the next run can use their segments."""
        if not current.running:
            self._end(current, "failed", current.failure)

    def _end(self, current: RunningJob, status: Status, message: str = "") -> None:
        if current in self.active:
            self.active.remove(current)
            if status == "failed":
                current.checkpoint.clear_if_empty()
            current.checkpoint.release()
        self.counts[status] += 1
        self.watcher.ended(current.report(status, message))

    def _cancel(self) -> None:
        """Stop all tasks. Finished segments stay."""
        if not self.active:
            return
        self.pool.cancel()
        deadline = time.monotonic() + _PATIENCE
        for current in self.active:
            current.todo.clear()
        while any(current.running for current in self.active) and time.monotonic() < deadline:
            for event in self.pool.wait(0.2):
                self._keep(event)
        for current in list(self.active):
            self._end(current, "cancelled", "stopped; the same command goes on with it")

    def _keep(self, event: Event) -> None:
        for current in self.active:
            task = current.running.get(event.ticket)
            if task is None or isinstance(event, Advanced | Logged):
                continue
            del current.running[event.ticket]
            if isinstance(event, Finished) and isinstance(task, Encode):
                with suppress(OSError):
                    current.checkpoint.add(event.value)
