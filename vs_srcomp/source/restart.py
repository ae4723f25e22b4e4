"""Clocks that begin anew inside a file: where recordings were joined, or a sender was switched off and on."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

type Ints = npt.NDArray[np.int64]

# Times that step back by no more are taken for what encoders and rounding do. FFmpeg's own copy draws the same line.
STEP_BACK = Fraction(1, 10)
"""In seconds."""


def restart_shifts(times: Ints, time_base: Fraction) -> Ints:
    """What to add to the time of each frame so that time goes on where the clock begins anew.

    The first frame on a new clock follows the frame before it after as long as that one followed its own predecessor.

    Args:
        times: When each frame is shown, in the order of display.
        time_base: Their unit in seconds.

    Returns:
        In the same unit; all 0 where no clock begins anew.
    """
    steps = np.diff(times)
    least = float(STEP_BACK / time_base)
    # A single frame with a wrong time does not begin a new clock: the one after it is on the old one again.
    after = np.append(times[2:] - times[:-2], steps[-1:])
    restarts = np.flatnonzero((steps < -least) & (after < -least)) + 1
    if len(restarts) == 0:
        return np.zeros_like(times)
    usual = int(np.median(steps[steps > 0])) if (steps > 0).any() else 0
    lengths = [int(steps[first - 2]) if first > 1 and steps[first - 2] > 0 else usual for first in restarts]
    jumps = np.zeros_like(times)
    jumps[restarts] = np.array(lengths) - steps[restarts - 1]
    return np.cumsum(jumps)
