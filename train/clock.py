"""The clock of a training run, by which its schedule goes."""

import time
from dataclasses import dataclass
from typing import Final

from train.parallel import Team

# Largest share of validations in a run with a time limit, before its end.
_FOR_MEASURING: Final = 0.1


@dataclass
class Clock:
    """Progress of a run: by its steps, or by its time limit if that is shorter.

    The leader's time counts, so that all processes take the same steps at the same rates.
    """

    steps: int
    seconds: float | None
    first: int
    team: Team
    measuring: float = 0.0
    """Seconds spent in validations."""

    def __post_init__(self) -> None:
        self._begin = time.monotonic()
        self._passed = 0.0

    def read(self) -> None:
        """Read the leader's time, which counts until this is called again. All processes call it at the same steps."""
        if self.seconds is not None:
            self._passed = self.team.of_leader(time.monotonic() - self._begin)

    def mean_step(self, step: int) -> float:
        """Seconds per step."""
        return (time.monotonic() - self._begin - self.measuring) / max(1, step - self.first)

    def may_measure(self, cost: float) -> bool:
        """Whether there is time for a validation of about ``cost`` seconds before the end."""
        if self.seconds is None:
            return True
        return self.measuring + cost <= _FOR_MEASURING * (time.monotonic() - self._begin)

    def done(self, step: int) -> float:
        """Share of the run, 0 to 1."""
        by_steps = step / self.steps
        if self.seconds is None:
            return by_steps
        before = self.first / self.steps
        return max(by_steps, before + (1 - before) * min(1.0, self._passed / self.seconds))

    def is_over(self, step: int) -> bool:
        """Whether no step is left, or no time."""
        return self.done(step) >= 1
