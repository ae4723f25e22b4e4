"""Whether a network is fast enough, by the frames so far. Measurements survive a seek, which reloads the script."""

import threading
import time
from dataclasses import dataclass

FIRST_WINDOW, LATER_WINDOW = 1.0, 5.0
"""The speed is judged after so many seconds of video, or of work if that takes longer."""

LEAST_FRAMES = 2
"""The speed is judged by at least so many frames."""

LARGEST_DELAY = 0.2
"""Seconds that the picture may lag behind the sound in the first window. A longer lag is visible."""

DELAYED_FRAMES = 4
"""Frames that must have been late on average by then: a single slow frame may have another cause."""

LASTING_VERDICT = 600.0
"""Seconds after which a network that was too slow is tried again: the load of the machine may have changed."""


@dataclass(frozen=True)
class Speed:
    """Speed of the graph in frames per second."""

    possible: float
    needed: float


class Pace:
    """Chooses the step to run by the speed so far.

    Only time in which at least one frame is in progress counts, so a pause, a slow disk or a player that waits for its
    clock does not count against a network, and frames that run in parallel count together.
    """

    def __init__(self, last: int) -> None:
        """Start with step 0; ``last`` is the last step there is."""
        self.step = 0
        self.lock = threading.Lock()
        self._last = last
        self._changed = time.monotonic()
        self._restart_measurement(FIRST_WINDOW)

    def load(self) -> None:
        """To be called when the script is loaded."""
        if time.monotonic() - self._changed > LASTING_VERDICT:
            self._go_to(0)

    def count(self, duration: float, work: float) -> Speed | None:
        """Count a frame that is shown for ``duration`` seconds and took ``work`` seconds, both above 0.

        Returns:
            The speed, when enough frames have come since the last result; ``step`` may have changed then.
        """
        self._frames += 1
        self._video += duration
        self._work += work
        begins = self._window == FIRST_WINDOW
        late = begins and self._frames >= DELAYED_FRAMES and self._work - self._video > LARGEST_DELAY
        if self._frames < LEAST_FRAMES or not (late or max(self._video, self._work) >= self._window):
            return None
        speed = Speed(possible=self._frames / self._work, needed=self._frames / self._video)
        self._restart_measurement(LATER_WINDOW)
        if speed.possible < speed.needed and self.step < self._last:
            self._go_to(self.step + 1)
        return speed

    def _go_to(self, step: int) -> None:
        self.step = step
        self._changed = time.monotonic()
        self._restart_measurement(FIRST_WINDOW)

    def _restart_measurement(self, window: float) -> None:
        self._window = window
        self._frames = 0
        self._video = self._work = 0.0


_paces: dict[tuple[object, ...], Pace] = {}


def pace_for(key: tuple[object, ...], last: int) -> Pace:
    """The pace for ``key``, everything that determines the speed; a new one begins with step 0."""
    pace = _paces.setdefault(key, Pace(last))
    with pace.lock:
        pace.load()
    return pace
