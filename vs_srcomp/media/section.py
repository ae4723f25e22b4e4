"""Which part of a file a job is about."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import vapoursynth as vs

from vs_srcomp.errors import error


@dataclass(frozen=True)
class Section:
    """A part of a file. Times are in seconds on the file's own clock."""

    first: int
    """Number of the first frame."""
    stop: int
    """Number of the frame after the last."""
    start: Fraction | None
    """What is shown before this moment, when the first frame is shown, is left out."""
    end: Fraction | None
    """What is shown at this moment or later is left out."""
    zero: Fraction
    """This moment becomes 0 in the output."""


def find_section(
    frames: int,
    start: Fraction | None,
    end: Fraction | None,
    time_of: Callable[[int], Fraction],
    *,
    origin: Fraction,
    keeps_clock: bool,
) -> Section:
    """Find the frames that are shown from ``start`` to ``end``.

    Args:
        frames: How many the file has.
        start: In seconds after ``origin``; None is the beginning.
        end: Likewise; None is the end.
        time_of: When each frame is shown, in seconds; asked for only if there is a start or an end.
        origin: When the file begins, on its own clock.
        keeps_clock: Whether the output goes by the same clock if it begins where the file begins. If not, and if
            ``start`` is given, it begins at 0.

    Raises:
        vs.Error: No frame is shown in that time.
    """
    first, stop, began = 0, frames, None
    finish = None if end is None else end + origin
    if start is not None:
        first = bisect_left(range(frames), start + origin, key=time_of)
    if finish is not None:
        stop = bisect_left(range(frames), finish, key=time_of)
    if first >= stop:
        length = time_of(frames - 1) - origin
        raise error(
            "no frame is shown between the start and the end that were asked for",
            f"the last frame is shown at {float(length):.3f} s",
        )
    if start is not None:
        began = time_of(first)
    return Section(
        first, stop, began, finish, zero=began if began is not None else Fraction(0) if keeps_clock else origin
    )


def frame_time(frame: vs.VideoFrame, time_base: Fraction) -> Fraction:
    """When ``frame`` is shown, in seconds: the timestamp itself, which its property rounds to a float."""
    return round(Fraction(frame.props["_AbsoluteTime"]) / time_base) * time_base
