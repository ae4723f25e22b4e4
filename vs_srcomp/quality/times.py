"""Times of frames, which must be equal in clips that are compared."""

from collections.abc import Sequence
from fractions import Fraction

import vapoursynth as vs

from vs_srcomp.errors import error


class FrameTimes:
    """Times of the frames of several clips, which must be those of the last one."""

    def __init__(self, names: Sequence[str], ticks: Sequence[Fraction]) -> None:
        """Start before the first frame.

        Args:
            names: Names of the clips in messages.
            ticks: Resolution of their files' timestamps, in seconds.
        """
        self._names, self._ticks = names, ticks
        self._starts: list[float] = []

    def add(self, number: int, frames: Sequence[vs.VideoFrame]) -> float:
        """Time of frame ``number`` in seconds from the first frame.

        Raises:
            vs.Error: A clip has another time than the last one.
        """
        # Clips without times have 25 frames a second.
        times = [float(frame.props.get("_AbsoluteTime", number / 25)) for frame in frames]
        self._starts = self._starts or times
        *ours, wanted = (time - start for time, start in zip(times, self._starts, strict=True))
        for name, tick, time in zip(self._names, self._ticks, ours, strict=False):
            # Properties are floats, whose precision is a nanosecond over a month.
            if abs(time - wanted) > float(tick + self._ticks[-1]) + 1e-9:
                raise error(
                    f"frame {number} of {name} is shown {time:.4f} s after the first, that of "
                    f"{self._names[-1]} {wanted:.4f} s",
                    "compare files with the same timestamps",
                )
        return wanted
