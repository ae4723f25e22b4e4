"""What was measured, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from vs_srcomp.bench.process import Measurement
from vs_srcomp.bench.stage import LIMITS, Stage

FORMAT = 1
"""Of the JSON form of a `Report`; rises when a name changes its meaning."""


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """Medians over all rounds of one stage."""

    name: str
    title: str
    kind: str
    limit: str | None
    """The name of the stage that this one cannot be faster than."""
    fps: float
    ms: float
    """Milliseconds a frame."""
    spread: float
    """Highest less lowest rate of all rounds, over the median."""
    share: float | None
    """Of the limit's rate, round by round, so that a slow minute of the machine does not count."""
    cpu_ms: float
    """Milliseconds of processor time a frame, of all threads together."""
    peak_mb: float
    """The most memory that the stage's process had, with the frames that it works on."""
    rounds: tuple[Measurement, ...]
    reused: float | None = None
    """Share of the luma that was taken from memory; None where there is no reuse."""


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
