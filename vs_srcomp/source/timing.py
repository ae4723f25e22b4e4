"""Durations and frame rate from timestamps."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from vs_srcomp.source.index import UNKNOWN, Index

_USUAL_RATES = [
    Fraction(rate * 1000, 1001) if ntsc else Fraction(rate)
    for rate in (12, 15, 24, 25, 30, 48, 50, 60, 90, 100, 120, 144, 240)
    for ntsc in (False, True)
    if not ntsc or rate % 12 == 0 or rate == 30
]


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of the frames.

    Attributes:
        rate: Frames per second if it is constant, otherwise None.
        time_base: The unit of the others, in seconds.
        start: Time of each frame.
        duration: Duration of each frame, 0 where unknown.
    """

    rate: Fraction | None
    time_base: Fraction
    start: npt.NDArray[np.int64]
    duration: npt.NDArray[np.int64]

    def seconds(self, frame: int) -> float:
        """Time of ``frame``."""
        return int(self.start[frame]) * self.time_base.numerator / self.time_base.denominator

    def length(self, frame: int) -> Fraction | None:
        """Duration of ``frame`` in seconds, or None if unknown."""
        ticks = int(self.duration[frame])
        return ticks * self.time_base if ticks > 0 else None


def timing(index: Index) -> Timing:
    """The timing of all frames.

    A frame lasts until the next one; the last one has the duration of its packet or, if unknown, that of the previous
    frame. If the file's clock restarts, time continues. Without timestamps, as in raw streams, the nominal rate counts.
    """
    start = index.times
    if (start == UNKNOWN).any():
        rate = index.nominal_rate
        steps = np.ones(len(start), np.int64)
        return Timing(rate, 1 / rate if rate else index.time_base, np.arange(len(start)), steps if rate else 0 * steps)
    start = start + index.clock_shifts()
    duration = np.diff(start, append=start[-1:])
    last = int(index.packets.duration[index.packet_of[-1]])
    duration[-1] = last if last > 0 or len(start) == 1 else duration[-2]
    return Timing(_constant_rate(start, duration, index), index.time_base, start, duration)


def _constant_rate(start: npt.NDArray[np.int64], duration: npt.NDArray[np.int64], index: Index) -> Fraction | None:
    """The constant rate of timestamps that are rounded to a grid.

    A coarse grid is common: WebM has milliseconds, so that 30 frames a second last 33 or 34 ms each.
    """
    if len(start) == 1:
        return 1 / (int(duration[0]) * index.time_base) if duration[0] > 0 else index.nominal_rate
    steps = duration[:-1]
    if steps.min() <= 0:
        return None
    stated = index.nominal_rate
    constant = 1 / (int(steps[0]) * index.time_base) if steps.min() == steps.max() else None
    if constant is not None and (constant == stated or constant in _USUAL_RATES):
        return constant
    grid = int(np.gcd.reduce(steps))
    mean = Fraction(len(steps), int(start[-1] - start[0])) / index.time_base
    candidates = sorted(_USUAL_RATES, key=lambda rate: abs(rate - mean))
    if stated is not None:
        candidates.insert(0 if stated in _USUAL_RATES else len(candidates), stated)
    for rate in candidates:
        step = float(1 / (rate * index.time_base * grid))
        # On a grid nearly as coarse as the frames, any irregular sequence would look like a rounded regular one.
        if step >= 4 and np.abs((start - start[0]) / grid - np.arange(len(start)) * step).max() <= 1 + 1e-6:
            return rate
    return constant
