"""Cutting a job into segments."""

from bisect import bisect_left
from fractions import Fraction
from itertools import pairwise

from vs_srcomp.batch.records import Segment
from vs_srcomp.encoders.feed import later
from vs_srcomp.encoders.library import Encoder
from vs_srcomp.transcode.job import Job, encoder_settings
from vs_srcomp.transcode.prepare import PreparedJob, prepare


def cut(job: Job, *, threads: int = 0) -> list[Segment]:
    """Prepare ``job``, and cut its frames into segments of about ``job.segment_seconds``.

    They begin at key frames of the source if there are any near, so that hardly any frame is decoded twice.

    Args:
        job: What to do.
        threads: Threads of decoder and network; 0 for all processors.

    Raises:
        vs.Error: The job cannot be done.
    """
    with prepare(job, threads=threads) as work:
        return cut_prepared(work)


def cut_prepared(work: PreparedJob) -> list[Segment]:
    """The segments of a prepared job; see `cut`."""
    _try_header(work)
    info, section, timeline = work.info, work.info.section, work.timeline()
    timestamps = timeline.timestamps
    shown = (timestamps[section.stop - 1] - timestamps[section.first]) * info.time_base
    mean = info.rate or (Fraction(section.stop - section.first) / shown if shown > 0 else Fraction(25))
    length = max(1, round(Fraction(work.job.segment_seconds) * mean))
    firsts = first_frames(section.first, section.stop, timeline.keys, length)
    segments = []
    last: int | None = None
    for index, (begin, stop) in enumerate(pairwise([*firsts, section.stop])):
        segments.append(Segment(index=index, first=begin, stop=stop, after=last, info=info))
        for timestamp, following in pairwise([*timestamps[begin:stop], *timestamps[stop : stop + 1]]):
            last = later(timestamp, last, max(0, following - timestamp), info.time_base)
    return segments


def _try_header(work: PreparedJob) -> None:
    """Raise an error now, not when segments are joined, if the muxer refuses the streams."""
    if work.job.pipe:
        return  # the program's codec is unknown yet
    info = work.info
    encoder = Encoder(info.picture, encoder_settings(work.job), info.time_base, info.average_rate, threads=1)
    work.muxer(None, info, encoder.stream).try_header()


def first_frames(first: int, stop: int, keys: list[int], length: int) -> list[int]:
    """The first frame of each segment.

    Args:
        first: The first frame of all.
        stop: The frame after the last.
        keys: The source's key frames, in rising order.
        length: Wanted number of frames of a segment. It gets 0.5 to 1.5 times as many, unless there are fewer.
    """
    firsts = [first]
    while stop - firsts[-1] > length + length // 2:
        goal = firsts[-1] + length
        near = keys[bisect_left(keys, goal - length // 2) : bisect_left(keys, goal + length // 2 + 1)]
        # Without a key frame nearby, the frames from the last key frame on are decoded twice. That is cheap; segments
        # of unlimited length would lose more at an interruption.
        firsts.append(min((key for key in near if key > firsts[-1]), key=lambda key: abs(key - goal), default=goal))
    return firsts
