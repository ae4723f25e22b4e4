"""What comes before the first encoded frame, for a transcode in one piece, a batch and a dry run alike."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import vapoursynth as vs
from av.container import InputContainer

from vs_srcomp.encoders.library import Encoder
from vs_srcomp.encoders.pipe import PipedEncoder
from vs_srcomp.encoders.pipe_command import PipeCommand
from vs_srcomp.encoders.settings import PIPE_CODECS
from vs_srcomp.errors import error
from vs_srcomp.media.containers import ContainerKind, container_for
from vs_srcomp.media.losses import announce_losses
from vs_srcomp.media.mux import Muxer, VideoTrack
from vs_srcomp.media.muxer_probe import holds_codec
from vs_srcomp.media.picture import EncodedStream, describe_picture
from vs_srcomp.media.section import Section, find_section
from vs_srcomp.media.streams import Plan, make_plan
from vs_srcomp.media.timeline import Timeline, timeline_of
from vs_srcomp.media.timestamps import clock_of, fraction
from vs_srcomp.named_files import check_new_output
from vs_srcomp.source.index import has_broadcast_clock
from vs_srcomp.source.media import local_file, open_container
from vs_srcomp.transcode.graph import average_rate, open_source, upscaled
from vs_srcomp.transcode.info import JobInfo, fingerprint
from vs_srcomp.transcode.job import Job, encoder_settings


@dataclass(frozen=True, kw_only=True)
class OpenJob:
    """A job whose source is open and whose streams are planned."""

    job: Job
    kind: ContainerKind
    """Of the output."""
    source: InputContainer
    plan: Plan

    def muxer(self, path: Path | None, info: JobInfo, stream: EncodedStream) -> Muxer:
        """The output file, with ``stream`` as its video; None as ``path`` is a file in memory, to try the header.

        Raises:
            vs.Error: The container cannot hold the stream.
        """
        check_codec(self.job, stream.codec)
        codec_id = encoder_settings(self.job).kind.codec_id or PIPE_CODECS[stream.codec]
        track = VideoTrack(
            picture=info.picture, stream=stream, codec_id=codec_id, time_base=info.time_base, rate=info.rate
        )
        return Muxer(path, self.kind, self.source, self.plan, track, info.section)


@dataclass(frozen=True, kw_only=True)
class PreparedJob(OpenJob):
    """A job that is ready to encode."""

    info: JobInfo
    output: vs.VideoNode
    """The upscaled frames, in a format that the encoder takes."""
    timeline: Callable[[], Timeline]
    """Reads the times of all frames of the source, once."""


@contextmanager
def open_job(job: Job) -> Iterator[OpenJob]:
    """Open the source of ``job`` and plan its streams.

    Raises:
        vs.Error: The source cannot be read, or the output cannot hold its streams or what the encoder makes.
    """
    kind = container_for(job.target)
    if codec := encoder_settings(job).kind.codec:
        check_codec(job, codec)
    with open_container(local_file(job.source)) as source:
        plan = make_plan(source, kind, drop_incompatible=job.drop_incompatible)
        yield OpenJob(job=job, kind=kind, source=source, plan=plan)


@contextmanager
def prepare(job: Job, *, threads: int = 0) -> Iterator[PreparedJob]:
    """Make all that can fail before the long work fail now: one frame is decoded and upscaled.

    Of the target only the name matters here.

    Args:
        job: What to do.
        threads: Of decoder and network; 0 means all processors.

    Raises:
        vs.Error: The job cannot be done.
    """
    file = local_file(job.source)
    before = fingerprint(job.source)
    with open_job(job) as opened:
        video = opened.plan.video
        time_base = clock_of(fraction(video.time_base))

        @cache
        def timeline() -> Timeline:
            return timeline_of(file, time_base)

        whole = open_source(job, threads=threads)
        section = section_of(job, whole.num_frames, opened.source, timeline)
        clip = whole[section.first : section.stop]
        output = upscaled(clip, job, first=section.first, threads=threads)
        first = clip.get_frame(0)
        announce_losses(file, opened.kind)
        info = JobInfo(
            source=before,
            section=section,
            picture=describe_picture(output, first.props, output.get_frame(0).props),
            source_size=(clip.width, clip.height),
            codec=encoder_settings(job).kind.codec,
            time_base=time_base,
            rate=clip.fps if clip.fps.numerator else None,
            average_rate=average_rate(clip, video),
        )
        yield PreparedJob(**vars(opened), info=info, output=output, timeline=timeline)


def section_of(job: Job, frames: int, source: InputContainer, timeline: Callable[[], Timeline]) -> Section:
    """The part of the source that ``job`` is about.

    Args:
        job: What to do.
        frames: How many the source has.
        source: The file.
        timeline: Its timeline, read only if there is a start or an end. That is quicker than to decode a few
            frames, each from the key frame before it.

    Raises:
        vs.Error: No frame is shown in that time.
    """
    return find_section(
        frames,
        job.start,
        job.end,
        lambda number: timeline().time(number),
        origin=Fraction(source.start_time or 0, av.time_base),
        # The clock of broadcasts starts anywhere.
        keeps_clock=not has_broadcast_clock(source),
    )


@contextmanager
def start_encoder(
    job: Job, info: JobInfo, *, frames: int, beside: Path, threads: int = 0, cancel: threading.Event | None = None
) -> Iterator[Encoder | PipedEncoder]:
    """Start the encoder of ``job``, which ends with the block.

    Args:
        job: What to do.
        info: What is known of the job.
        frames: How many there will be.
        beside: The file that is made: a program behind a pipe may write in its folder, where nothing is left.
        threads: About how many processors to keep busy, 0 for all; the packets do not depend on it.
        cancel: Ends a program when set.

    Raises:
        vs.Error: The encoder refuses the picture or the settings, or the program cannot be run.
    """
    if not job.pipe:
        yield Encoder(info.picture, encoder_settings(job), info.time_base, info.average_rate, threads=threads)
        return
    with PipedEncoder(
        PipeCommand.parse(job.pipe),
        info.picture,
        info.average_rate,
        info.time_base,
        form=job.pipe_format,
        frames=frames,
        beside=beside,
        threads=threads,
        cancel=cancel,
    ) as encoder:
        yield encoder


def check_target(job: Job) -> None:
    """Raise the error of an output that cannot be written, before any work is done."""
    container_for(job.target)
    check_new_output(job.target, job.source, overwrite=job.overwrite)


def check_codec(job: Job, codec: str) -> None:
    """Raise the error of an output that cannot hold ``codec``, FFmpeg's name of what the job's encoder makes."""
    kind = container_for(job.target)
    if not holds_codec(kind, codec):
        raise error(
            f"{kind.suffix} files cannot hold what {encoder_settings(job).kind.title} makes",
            "write a .mkv file instead, or use another encoder",
        )
