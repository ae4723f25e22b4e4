"""Clocks that restart inside a file: where recordings were joined, or a sender was switched off and on."""

import numpy as np
import numpy.typing as npt

CYCLE = 1 << 33
"""Of the clocks of MPEG's transport and program streams, whose unit is 1/90000 s (ISO/IEC 13818-1, 2.4.3.6)."""

type Ints = npt.NDArray[np.int64]

# Seconds by which times may step back or leap forward on one clock: FFmpeg's own copy draws the same lines.
_BACK, _FORWARD = 0.1, 10.0

# In the time of a gap on one clock, a stream has sound or at least its tables: more bytes a second than this.
_LEAST_BYTES = 1000


def is_new_clock(step: float, between: int | None) -> bool:
    """Whether two pictures are on different clocks.

    Args:
        step: From the time of the one to that of the next, in seconds.
        between: The bytes that lie between them in the file; None where only steps back show another clock.
    """
    return step < -_BACK or (between is not None and step > _FORWARD and between < step * _LEAST_BYTES)


def restart_shifts(times: Ints, second: float, places: tuple[Ints, Ints] | None = None) -> Ints:
    """What to add to the time of each frame so that time goes on where the clock restarts.

    The first frame on a new clock follows the frame before it after as long as that one followed its own predecessor.

    Args:
        times: When each frame is shown, in the order of display.
        second: In units of ``times``.
        places: For each frame, where it begins and ends in the file, if its clock may leap forward, too; such clocks
            run over after `CYCLE`.

    Returns:
        In the unit of ``times``; all 0 where no clock restarts.
    """
    counted = np.diff(times, prepend=times[:1])
    # Clocks of 33 bits run over, and packets on both sides may be mixed up in the order of display.
    over = -np.round(counted / CYCLE).astype(np.int64) * CYCLE if places is not None else np.zeros_like(times)
    over = np.cumsum(over)
    times = times + over
    restarts = [number for number in _suspects(times, second, places) if _stays(times, number, second)]
    jumps = np.zeros_like(times)
    steps = np.diff(times)
    usual = int(np.median(steps[steps > 0])) if (steps > 0).any() else 0
    for number in restarts:
        before = int(steps[number - 2]) if number > 1 else 0
        jumps[number] = (before if 0 < before < _FORWARD * second else usual) - steps[number - 1]
    return over + np.cumsum(jumps)


def _suspects(times: Ints, second: float, places: tuple[Ints, Ints] | None) -> list[int]:
    steps = np.diff(times)
    unusual = np.flatnonzero((steps < -_BACK * second) | (steps > _FORWARD * second)) + 1
    return [
        int(number)
        for number in unusual
        if is_new_clock(
            steps[number - 1] / second, int(places[0][number] - places[1][number - 1]) if places is not None else None
        )
    ]


def _stays(times: Ints, number: int, second: float) -> bool:
    """Whether the frame after the first on a new clock is on it, too: a single wrong time is not a new clock."""
    if number + 1 >= len(times):
        return True
    step = (times[number + 1] - times[number - 1]) / second
    return bool(step < -_BACK or step > _FORWARD)
