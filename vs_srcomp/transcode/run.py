"""A job from beginning to end."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import vapoursynth as vs
from av.container import InputContainer

from vs_srcomp.encoders.feed import CancelledError, Progress, feed
from vs_srcomp.encoders.library import VideoPacket
from vs_srcomp.errors import error
from vs_srcomp.files import atomic_path
from vs_srcomp.media.containers import ContainerKind, container_for
from vs_srcomp.media.losses import announce_losses
from vs_srcomp.media.mux import Muxer, VideoTrack
from vs_srcomp.media.muxer_probe import is_of_file_system
from vs_srcomp.media.picture import describe_picture
from vs_srcomp.media.section import Section, find_section
from vs_srcomp.media.streams import make_plan
from vs_srcomp.media.timeline import Timeline, timeline_of
from vs_srcomp.media.timestamps import clock_of, fraction
from vs_srcomp.source.index import has_broadcast_clock
from vs_srcomp.source.media import local_file, open_container
from vs_srcomp.transcode.graph import average_rate, open_source, upscaled
from vs_srcomp.transcode.info import check_source, source_facts
from vs_srcomp.transcode.job import Job, encoder_settings
from vs_srcomp.transcode.start import started

__all__ = ["CancelledError", "Progress", "Result", "transcode"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What has been done."""

    target: Path
    source_size: tuple[int, int]
    """Width and height in pixels."""
    target_size: tuple[int, int]
    frames: int
    seconds: float
    """That the work took."""
    models: dict[str, int]
    """Number of frames by name of the model that restored them."""
    bytes: int
    """Size of the file."""


def transcode(job: Job, *, progress: Progress | None = None, cancel: threading.Event | None = None) -> Result:
    """Do ``job``: decode, upscale and encode the video, copy all else.

    Timestamps are those of the source, as far as the container can count: Matroska and WebM count milliseconds. The
    output takes its name only when it is whole; whatever goes wrong, nothing is left behind.

    Args:
        job: What to do.
        progress: Told how far the work is.
        cancel: Stops the work when set.

    Raises:
        vs.Error: The job cannot be done; the last line says what to do about it.
        CancelledError: ``cancel`` was set.
    """
    began = time.monotonic()
    kind = container_of(job)
    file = local_file(job.source)
    facts = source_facts(job.source)
    check_target(job)
    with open_container(file) as container:
        plan = make_plan(container, kind, drop_incompatible=job.drop_incompatible)
        whole = open_source(job, file)
        time_base = clock_of(fraction(plan.video.time_base))
        section = section_of(job, whole, container, time_base)
        clip = whole[section.first : section.stop]
        output = upscaled(clip, job, file, first=section.first)
        first = clip.get_frame(0)
        announce_losses(file, kind)
        picture = describe_picture(output, first.props, output.get_frame(0).props)
        with (
            writing(job.target),
            started(
                job,
                picture,
                time_base,
                average_rate(clip, plan.video),
                frames=output.num_frames,
                folder=job.target.parent,
                cancel=cancel,
            ) as encoder,
            atomic_path(job.target, overwrite=job.overwrite) as temporary,
        ):
            with ExitStack() as opened:

                @cache
                def muxer() -> Muxer:
                    check_codec(job, encoder.stream.codec)
                    track = VideoTrack(
                        picture=picture,
                        stream=encoder.stream,
                        time_base=time_base,
                        rate=clip.fps if clip.fps.numerator else None,
                    )
                    return opened.enter_context(Muxer(temporary, kind, container, plan, track, section))

                def write(packet: VideoPacket) -> None:
                    muxer().write(packet)

                # Of what programs write, nothing is known before there is a packet; all else can be refused now.
                if not job.pipe:
                    muxer()
                models = feed(output, encoder, write, time_base, progress=progress, cancel=cancel)
                # A file that is still being written has other streams than pictures by now.
                check_source(job.source, facts)
                muxer().finish()
            if cancel and cancel.is_set():
                raise CancelledError
    return Result(
        target=job.target,
        source_size=(clip.width, clip.height),
        target_size=(output.width, output.height),
        frames=output.num_frames,
        seconds=time.monotonic() - began,
        models=dict(models),
        bytes=job.target.stat().st_size,
    )


def container_of(job: Job) -> ContainerKind:
    """The container of the job's target.

    Raises:
        vs.Error: It cannot be written, or cannot hold what the job's encoder makes.
    """
    if codec := encoder_settings(job).kind.codec:
        check_codec(job, codec)
    return container_for(job.target)


def check_codec(job: Job, codec: str) -> None:
    """Raise the error of a target that cannot hold ``codec``, in FFmpeg's words, which the job's encoder makes."""
    kind = container_for(job.target)
    if not kind.holds_codec(codec):
        raise error(
            f"{kind.suffix} files cannot hold what {encoder_settings(job).kind.title} makes",
            "write a .mkv file instead, or use another encoder",
        )


def section_of(
    job: Job, clip: vs.VideoNode, container: InputContainer, time_base: Fraction, timeline: Timeline | None = None
) -> Section:
    """The part of the source that ``job`` wants.

    Args:
        job: What to do.
        clip: The whole clip.
        container: The file that it comes from.
        time_base: The unit of the file's timestamps, in seconds.
        timeline: Of the file, if it is known already.

    Raises:
        vs.Error: No frame is shown in that time.
    """

    @cache
    def known() -> Timeline:
        # To read it takes less time than to decode a few frames, each from the key frame before it.
        return timeline or timeline_of(local_file(job.source), time_base)

    return find_section(
        clip.num_frames,
        job.start,
        job.end,
        lambda number: known().time(number),
        origin=Fraction(container.start_time or 0, av.time_base),
        # The clock of broadcasts starts anywhere.
        keeps_clock=not has_broadcast_clock(container),
    )


def check_target(job: Job) -> None:
    """Raise the error of an output that cannot be written, before any work is done."""
    if job.target.exists():
        if job.source.exists() and job.target.samefile(job.source):
            raise error("the output is the input", "give the output another name")
        if not job.target.is_file():
            raise error(f"{str(job.target)!r} is not a file", "give the output another name")
        if not job.overwrite:
            raise error(f"{str(job.target)!r} exists", "give the output another name, or replace it with --overwrite")
    if not job.target.parent.is_dir():
        raise error(f"the folder {str(job.target.parent)!r} does not exist", "make it, or write somewhere else")


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Report errors of the file system in the user's words."""
    try:
        yield
    except (OSError, av.FFmpegError) as reason:
        if not is_of_file_system(reason):
            raise error(
                f"cannot write {str(file)!r}: {str(reason).lower()}", "try another container or another encoder"
            ) from reason
        raise error(
            f"cannot write {str(file)!r}: {os.strerror(reason.errno or 0).lower()}",
            "check the folder, its permissions and the free space",
        ) from reason
