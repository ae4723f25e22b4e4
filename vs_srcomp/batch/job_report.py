"""What a batch tells about its jobs: how far they are, and how they ended."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from vs_srcomp.transcode.job import Job, Result

type Status = Literal["done", "skipped", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """The end of a job in a batch."""

    job: Job
    status: Status
    """``skipped``: an earlier run has finished it, and it has passed the checks that were asked for, then or now."""
    message: str = ""
    """The error, unless it is done or skipped."""
    notes: tuple[str, ...] = ()
    """Logged messages, such as streams that are left out."""
    result: Result | None = None
    """The result, if it is done."""
    segments: int = 0
    """Number of segments."""
    reused: int = 0
    """Number of segments that an earlier run had finished."""
    seconds: float = 0.0
    """Time from the beginning of the job to its end; other jobs may run meanwhile."""
    checks: dict[str, Any] = field(default_factory=dict)
    """Results of the checks, by name."""


class Watcher(Protocol):
    """Receives the events of a batch."""

    def waiting(self, job: Job) -> None:
        """``job`` waits for another run that works on it; told once."""

    def began(self, job: Job) -> None:
        """``job`` has begun."""

    def advanced(self, job: Job, done: int, total: int) -> None:
        """``done`` of ``total`` frames are done."""

    def ended(self, report: JobReport) -> None:
        """A job has ended."""
