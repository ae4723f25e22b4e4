"""The results of a benchmark, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from vs_srcomp.bench.process import Measurement
from vs_srcomp.bench.stage import LIMITS, Stage

FORMAT = 1
"""Version of the JSON form of a `Report`; increased when a name changes its meaning."""


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """Medians of one stage over all rounds."""

    name: str
    title: str
    kind: str
    limit: str | None
    """The name of the stage that this one cannot be faster than."""
    fps: float
    ms: float
    """Milliseconds a frame."""
    spread: float
    """Highest minus lowest rate of all rounds, over the median."""
    share: float | None
    """Share of the limit's rate, computed round by round, so that the machine's load does not count."""
    cpu_ms: float
    """Processor time of all threads in milliseconds a frame."""
    peak_mb: float
    """Peak memory of the stage's process, including the frames in memory."""
    rounds: tuple[Measurement, ...]
    reused: float | None = None
    """Share of the luma that was copied from memory; None without reuse."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole run."""

    format: int
    machine: dict[str, Any]
    clip: dict[str, Any]
    settings: dict[str, Any]
    stages: tuple[StageReport, ...]

    def stage(self, name: str) -> StageReport:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)


def summarize(measured: Sequence[tuple[Stage, Sequence[Measurement]]]) -> tuple[StageReport, ...]:
    """Medians, spread and shares.

    Args:
        measured: Each stage with its measurements, one a round; as many for all stages.
    """
    rounds_of = {stage.name: rounds for stage, rounds in measured}
    reports = []
    for stage, rounds in measured:
        limit = LIMITS.get(stage.kind)
        rates = [each.fps for each in rounds]
        shares = (
            [own.fps / best.fps for own, best in zip(rounds, rounds_of[limit], strict=True)]
            if limit in rounds_of
            else []
        )
        reports.append(
            StageReport(
                name=stage.name,
                title=stage.title,
                kind=stage.kind,
                limit=limit if limit in rounds_of else None,
                fps=median(rates),
                ms=1000 / median(rates),
                spread=(max(rates) - min(rates)) / median(rates),
                share=median(shares) if shares else None,
                cpu_ms=median(1000 * each.cpu / each.frames for each in rounds),
                peak_mb=max(each.peak_mb for each in rounds),
                rounds=tuple(rounds),
                reused=median(reused)
                if (reused := [each.reused for each in rounds if each.reused is not None])
                else None,
            )
        )
    return tuple(reports)
