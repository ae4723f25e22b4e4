"""Clocks that restart inside a file: at the boundary of joined recordings, or after a break of transmission."""

import numpy as np
import numpy.typing as npt

CYCLE = 1 << 33
"""Period of the clock of MPEG transport and program streams in units of 1/90000 s (ISO/IEC 13818-1, 2.4.3.6)."""

type Ints = npt.NDArray[np.int64]

# Seconds by which times may step back or jump forward on one clock, as in ``ffmpeg -c copy``.
_BACK, _FORWARD = 0.1, 10.0

# During a gap on one clock, a stream has audio or at least its tables: more bytes per second than this.
_LEAST_BYTES = 1000


def is_new_clock(step: float, between: int | None) -> bool:
    """Whether two pictures are on different clocks.

    Args:
        step: Time between them, in seconds.
        between: Bytes between them in the file; None if only steps back mean another clock.
    """
    return step < -_BACK or (between is not None and step > _FORWARD and between < step * _LEAST_BYTES)


def restart_shifts(times: Ints, second: float, places: tuple[Ints, Ints] | None = None) -> Ints:
    """The shift of each frame's time that makes a restarting clock continuous.

    The first frame on a new clock gets the same distance from the previous frame as that one from its predecessor.

    Args:
        times: Times of the frames in display order.
        second: One second in units of ``times``.
        places: For each frame, its start and end in the file, if its clock may also jump forward; such clocks wrap
            around after `CYCLE`.

    Returns:
        Shifts in units of ``times``; all 0 if no clock restarts.
    """
    counted = np.diff(times, prepend=times[:1])
    # Clocks of 33 bits wrap around, and packets of both sides may be mixed in display order.
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
    """Whether the second frame on a new clock is on it, too: a single wrong time is not a new clock."""
    if number + 1 >= len(times):
        return True
    step = (times[number + 1] - times[number - 1]) / second
    return bool(step < -_BACK or step > _FORWARD)
