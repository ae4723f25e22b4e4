"""A pool in the test's own thread, and a batch on it."""

import threading
from collections import deque
from pathlib import Path

from vs_srcomp.batch.job_report import JobReport
from vs_srcomp.batch.pool import Encode, Event, Failed, Finished, Task, failed
from vs_srcomp.batch.records import Share
from vs_srcomp.batch.run import run_batch
from vs_srcomp.transcode import Job


class PowerCutError(BaseException):
    """A power cut: nothing cleans up."""


class Here:
    """A pool in this thread, whose tasks run in `wait`."""

    size = 1

    def __init__(self, *, cut_off_after: int | None = None) -> None:
        """Fail without a trace in place of task number ``cut_off_after``."""
        self.done: list[Task] = []
        self._waiting: deque[tuple[int, Task]] = deque()
        self._numbers = 0
        self._left = cut_off_after
        self._stop = threading.Event()

    def submit(self, task: Task) -> int:
        self._numbers += 1
        self._waiting.append((self._numbers, task))
        return self._numbers

    def wait(self, seconds: float) -> list[Event]:
        if not self._waiting:
            return []
        ticket, task = self._waiting.popleft()
        if self._stop.is_set():
            return [Failed(ticket, "stopped", cancelled=True)]
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self._waiting.appendleft((ticket, task))
                raise PowerCutError
        try:
            value = task.run(Share(), lambda done, total: None, self._stop)
        except Exception as failure:
            return [failed(ticket, failure)]
        self.done.append(task)
        return [Finished(ticket, value)]

    def cancel(self) -> None:
        self._stop.set()

    def close(self) -> None:
        pass

    @property
    def encoded(self) -> list[int]:
        """Numbers of the segments that were encoded here."""
        return [task.segment.index for task in self.done if isinstance(task, Encode)]


class Notebook:
    """Records the events of a batch."""

    def __init__(self) -> None:
        self.outcomes: dict[str, JobReport] = {}

    def waiting(self, job: Job) -> None:
        pass

    def began(self, job: Job) -> None:
        pass

    def advanced(self, job: Job, done: int, total: int) -> None:
        assert 0 <= done <= total

    def ended(self, outcome: JobReport) -> None:
        assert outcome.job.target.name not in self.outcomes
        self.outcomes[outcome.job.target.name] = outcome


def run(*jobs: Job, pool: Here | None = None, restart: bool = False) -> dict[str, JobReport]:
    notebook = Notebook()
    run_batch(jobs, pool or Here(), notebook, restart=restart)
    return notebook.outcomes


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
