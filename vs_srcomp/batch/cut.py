"""Where a job is cut into segments."""

from bisect import bisect_left
from fractions import Fraction
from itertools import pairwise

import av
from av.container import InputContainer

from vs_srcomp.batch.records import Segment
from vs_srcomp.encoders.feed import later
from vs_srcomp.encoders.library import Encoder
from vs_srcomp.log import say
from vs_srcomp.media.containers import ContainerKind
from vs_srcomp.media.losses import announce_losses
from vs_srcomp.media.mux import Muxer, VideoTrack
from vs_srcomp.media.picture import describe_picture
from vs_srcomp.media.streams import Plan, make_plan
from vs_srcomp.media.timeline import timeline_of
from vs_srcomp.media.timestamps import clock_of, fraction
from vs_srcomp.source.media import local_file, open_container
from vs_srcomp.transcode.graph import average_rate, open_source, upscaled
from vs_srcomp.transcode.info import Outline, source_facts
from vs_srcomp.transcode.job import Job, encoder_settings
from vs_srcomp.transcode.run import container_of, section_of

# Sound may go on after the picture, and headers may be a little wrong: by so much of the length, and so many seconds.
_INEXACT, _SECONDS = Fraction(1, 10), Fraction(1, 2)


def cut(job: Job, *, threads: int = 0) -> list[Segment]:
    """Cut the frames of ``job`` into segments of about ``job.segment_seconds``.

    They begin at key frames of the source where there are any near, so that hardly a frame is decoded twice. The
    source's index is read, and a frame is decoded and upscaled. Of the target only the name matters here.

    Args:
        job: What to do.
        threads: Of decoder and network; 0 means all processors.

    Raises:
        vs.Error: The job cannot be done; the last line says what to do about it.
    """
    codec = encoder_settings(job).kind.codec
    kind = container_of(job)
    file = local_file(job.source)
    facts = source_facts(job.source)
    with open_container(file) as container:
        plan = make_plan(container, kind, drop_incompatible=job.drop_incompatible)
        whole = open_source(job, file, threads=threads)
        time_base = clock_of(fraction(plan.video.time_base))
        timeline = timeline_of(file, time_base)
        section = section_of(job, whole, container, time_base, timeline)
        clip = whole[section.first : section.stop]
        output = upscaled(clip, job, file, first=section.first, threads=threads)
        first = clip.get_frame(0)
        announce_losses(file, kind)
        rate = clip.fps if clip.fps.numerator else None
        outline = Outline(
            source=facts,
            section=section,
            picture=describe_picture(output, first.props, output.get_frame(0).props),
            source_size=(clip.width, clip.height),
            codec=codec,
            time_base=time_base,
            rate=rate,
            average_rate=average_rate(clip, plan.video),
        )
        if not job.pipe:
            _try_header(job, outline, kind, container, plan)
        container_seconds = Fraction(container.duration or 0, av.time_base)
    timestamps, keys = timeline.timestamps, timeline.keys
    _announce_loss_of_end(container_seconds, (timestamps[-1] - timestamps[0]) * time_base)
    shown = (timestamps[section.stop - 1] - timestamps[section.first]) * time_base
    mean = rate or (Fraction(section.stop - section.first) / shown if shown > 0 else Fraction(25))
    length = max(1, round(Fraction(job.segment_seconds) * mean))
    firsts = first_frames(section.first, section.stop, keys, length)
    segments = []
    last: int | None = None
    for index, (begin, stop) in enumerate(zip(firsts, [*firsts[1:], section.stop], strict=True)):
        segments.append(Segment(index=index, first=begin, stop=stop, after=last, outline=outline))
        for timestamp, following in pairwise([*timestamps[begin:stop], *timestamps[stop : stop + 1]]):
            last = later(timestamp, last, max(0, following - timestamp), time_base)
    return segments


def _try_header(job: Job, outline: Outline, kind: ContainerKind, container: InputContainer, plan: Plan) -> None:
    """Raise the error of a muxer that does not take the streams, long before they are joined."""
    encoder = Encoder(outline.picture, encoder_settings(job), outline.time_base, outline.average_rate, threads=1)
    track = VideoTrack(picture=outline.picture, stream=encoder.stream, time_base=outline.time_base, rate=outline.rate)
    Muxer(None, kind, container, plan, track, outline.section).try_header()


def first_frames(first: int, stop: int, keys: list[int], length: int) -> list[int]:
    """The first frame of each segment.

    Args:
        first: The first frame of all.
        stop: The frame after the last.
        keys: The source's key frames, rising.
        length: Number of frames that a segment should have; it gets between half as many and half as many again,
            unless there are fewer.
    """
    firsts = [first]
    while stop - firsts[-1] > length + length // 2:
        goal = firsts[-1] + length
        near = keys[bisect_left(keys, goal - length // 2) : bisect_left(keys, goal + length // 2 + 1)]
        # Where there is none, the frames from the last key frame on are decoded twice: that is quick to do, while
        # pieces of any length, up to a whole film, would be lost at every interruption.
        firsts.append(min((key for key in near if key > firsts[-1]), key=lambda key: abs(key - goal), default=goal))
    return firsts


def _announce_loss_of_end(stated: Fraction, found: Fraction) -> None:
    """Tell if much of the film is not there, which is how downloads end that were interrupted."""
    if found < stated * (1 - _INEXACT) - _SECONDS:
        say(f"the file ends after {float(found):.1f} s of {float(stated):.1f} s: it seems to be cut off")
