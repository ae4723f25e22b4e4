"""The section of a file between a start and an end time."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import av
import vapoursynth as vs
from av.container import InputContainer

from vs_srcomp.errors import error
from vs_srcomp.media.timeline import Timeline
from vs_srcomp.source.index import has_broadcast_clock
from vs_srcomp.source.media import fraction, video_stream


@dataclass(frozen=True)
class Section:
    """A section of a file. Times are in seconds on the file's own clock."""

    first: int
    """Number of the first frame."""
    stop: int
    """Number of the frame after the last."""
    start: Fraction | None
    """Time of the first frame; everything shown before it is left out."""
    end: Fraction | None
    """Everything shown at this time or later is left out."""
    zero: Fraction
    """The time that becomes 0 in the output."""


def check_section(start: Fraction | None, end: Fraction | None) -> None:
    """Refuse an end that is not after the start, before anything is opened.

    Raises:
        vs.Error: It is not.
    """
    if start is not None and end is not None and start >= end:
        raise error(f"the end, {float(end):g} s, is not after the start, {float(start):g} s", "give a later end")


def find_section(
    frames: int,
    start: Fraction | None,
    end: Fraction | None,
    time_of: Callable[[int], Fraction],
    *,
    origin: Fraction,
    keeps_clock: bool,
) -> Section:
    """Find the frames from ``start`` to ``end``.

    Args:
        frames: Number of frames of the file.
        start: Start in seconds after ``origin``; None for the beginning.
        end: End in seconds after ``origin``; None for the end.
        time_of: Returns the time of a frame in seconds; called only if there is a start or an end.
        origin: Start time of the file on its own clock.
        keeps_clock: Whether an output without ``start`` keeps the file's clock. Otherwise the output begins at 0.

    Raises:
        vs.Error: The section has no frame.
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


def section_of(
    start: Fraction | None,
    end: Fraction | None,
    clip: vs.VideoNode,
    source: InputContainer,
    timeline: Callable[[], Timeline],
) -> Section:
    """The section of a video from ``start`` to ``end``.

    Args:
        start: As for `find_section`.
        end: As for `find_section`.
        clip: All frames of the source.
        source: The open source.
        timeline: Returns its timeline; called once at most, and only if there is a start or an end.

    Raises:
        vs.Error: No frame is shown in that time.
    """
    origin = Fraction(source.start_time or 0, av.time_base)
    # Broadcast timestamps start anywhere.
    keeps_clock = not has_broadcast_clock(source)
    read = cache(timeline)
    section = find_section(
        clip.num_frames, start, end, lambda number: read().time(number), origin=origin, keeps_clock=keeps_clock
    )
    if start is not None or not keeps_clock or origin >= 0:
        return section
    # Pictures before the time 0, as cuts have them: players of MP4 would not show them.
    first = frame_time(clip.get_frame(0), fraction(video_stream(source, 0).time_base))
    return replace(section, zero=min(section.zero, first))


def frame_time(frame: vs.VideoFrame, time_base: Fraction) -> Fraction:
    """Time of ``frame`` in seconds: the exact timestamp, which the frame property rounds to a float."""
    return round(Fraction(frame.props["_AbsoluteTime"]) / time_base) * time_base
