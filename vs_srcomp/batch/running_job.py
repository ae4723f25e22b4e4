"""A job of a batch while it is worked on."""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from vs_srcomp.batch.checkpoint import Checkpoint
from vs_srcomp.batch.job_report import JobReport, Status
from vs_srcomp.batch.pool import Check, Task
from vs_srcomp.batch.records import Segment, SegmentRecord
from vs_srcomp.transcode.job import Job, Result


@dataclass
class RunningJob:
    """A job in progress."""

    job: Job
    checkpoint: Checkpoint
    began: float
    segments: list[Segment] = field(default_factory=list)
    records: dict[int, SegmentRecord] = field(default_factory=dict)
    todo: deque[Segment] = field(default_factory=deque)
    running: dict[int, Task] = field(default_factory=dict)
    """Its tasks in the pool, by ticket."""
    frames: dict[int, int] = field(default_factory=dict)
    """Finished frames of each task."""
    notes: list[str] = field(default_factory=list)
    failure: str = ""
    reused: int = 0
    result: Result | None = None
    was_finished: bool = False
    """Whether an earlier run has made the output, which lacks a check."""
    to_check: deque[Check] = field(default_factory=deque)
    checks: dict[str, Any] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)
    """Keys of the checks that it has passed."""

    def done_frames(self) -> int:
        """Finished frames of all segments."""
        return sum(record.frames for record in self.records.values()) + sum(self.frames.values())

    def report(self, status: Status, message: str) -> JobReport:
        """Its end, with the error ``message`` if it has failed."""
        return JobReport(
            job=self.job,
            status=status,
            message=message,
            notes=tuple(self.notes),
            result=self.result,
            segments=len(self.segments),
            reused=self.reused,
            seconds=time.monotonic() - self.began,
            checks=self.checks,
        )
