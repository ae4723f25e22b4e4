"""Everything before the first encoded frame, used by a transcode, a batch and a dry run."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import vapoursynth as vs
from av.container import InputContainer

from vs_srcomp.encoders.library import Encoder
from vs_srcomp.encoders.pipe import PipedEncoder
from vs_srcomp.encoders.pipe_command import PipeCommand
from vs_srcomp.encoders.settings import PIPE_CODECS, EncoderKind, EncoderSettings
from vs_srcomp.errors import error
from vs_srcomp.log import log_info
from vs_srcomp.media.containers import ContainerKind, container_for
from vs_srcomp.media.hdr import mastering_loss
from vs_srcomp.media.losses import announce_losses
from vs_srcomp.media.mux import Muxer, VideoTrack
from vs_srcomp.media.muxer_probe import holds_codec
from vs_srcomp.media.picture import EncodedStream, describe_picture
from vs_srcomp.media.section import section_of
from vs_srcomp.media.streams import Plan, make_plan
from vs_srcomp.media.timeline import Timeline, timeline_of
from vs_srcomp.media.timestamps import clock_of
from vs_srcomp.named_files import check_new_output
from vs_srcomp.source.media import fraction, local_file, open_container
from vs_srcomp.transcode.graph import average_rate, open_source, upscaled
from vs_srcomp.transcode.info import JobInfo, fingerprint
from vs_srcomp.transcode.job import Job, check_job, encoder_settings


@dataclass(frozen=True, kw_only=True)
class OpenJob:
    """A job whose source is open and whose streams are planned."""

    job: Job
    settings: EncoderSettings
    kind: ContainerKind
    """Container of the output."""
    source: InputContainer
    plan: Plan

    def muxer(self, path: Path | None, info: JobInfo, stream: EncodedStream) -> Muxer:
        """The output file with ``stream`` as its video. If ``path`` is None, it is a file in memory, to try the header.

        Raises:
            vs.Error: The container cannot hold the stream.
        """
        check_codec(self.kind, self.settings.kind, stream.codec)
        codec_id = self.settings.kind.codec_id or PIPE_CODECS[stream.codec]
        track = VideoTrack(
            picture=info.picture, stream=stream, codec_id=codec_id, time_base=info.time_base, rate=info.rate
        )
        return Muxer(path, self.kind, self.source, self.plan, track, info.section)


@dataclass(frozen=True, kw_only=True)
class PreparedJob(OpenJob):
    """A job that is ready to encode."""

    info: JobInfo
    output: vs.VideoNode
    """The upscaled clip, in a format that the encoder takes."""
    timeline: Callable[[], Timeline]
    """Returns the times of all frames of the source, which it reads once."""


@contextmanager
def open_job(job: Job) -> Iterator[OpenJob]:
    """Open the source of ``job`` and plan its streams.

    Raises:
        vs.Error: Options exclude each other, the source cannot be read, or the output cannot hold its streams or what
            the encoder makes.
    """
    settings, kind = check_job(job), container_for(job.target)
    if settings.kind.codec:
        check_codec(kind, settings.kind, settings.kind.codec)
    with open_container(local_file(job.source)) as source:
        plan = make_plan(source, kind, drop_incompatible=job.drop_incompatible)
        yield OpenJob(job=job, settings=settings, kind=kind, source=source, plan=plan)


@contextmanager
def prepare(job: Job, *, threads: int = 0) -> Iterator[PreparedJob]:
    """Do everything that can fail before the long work: among other things, decode and upscale one frame.

    Only the name of the target matters here.

    Args:
        job: What to do.
        threads: Threads of decoder and network; 0 for all processors.

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
        section = section_of(job.start, job.end, whole, opened.source, timeline)
        clip = whole[section.first : section.stop]
        output = upscaled(clip, job, first=section.first, threads=threads)
        first = clip.get_frame(0)
        picture = describe_picture(output, first.props, output.get_frame(0).props)
        announce_losses(file, opened.kind)
        if loss := mastering_loss(picture.mastering, opened.settings.kind.codec, opened.kind):
            log_info(loss)
        info = JobInfo(
            source=before,
            section=section,
            picture=picture,
            source_size=(clip.width, clip.height),
            codec=opened.settings.kind.codec,
            time_base=time_base,
            rate=clip.fps if clip.fps.numerator else None,
            average_rate=average_rate(clip, video),
        )
        yield PreparedJob(**vars(opened), info=info, output=output, timeline=timeline)


@contextmanager
def start_encoder(
    job: Job, info: JobInfo, *, frames: int, output: Path, threads: int = 0, cancel: threading.Event | None = None
) -> Iterator[Encoder | PipedEncoder]:
    """Start the encoder of ``job``, which ends with the block.

    Args:
        job: What to do.
        info: Facts about the job.
        frames: Number of frames to encode.
        output: The output file: a program writes its temporary file in the same folder.
        threads: Number of processors to use, about; 0 for all. The packets do not depend on it.
        cancel: When set, it ends a program.

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
        output=output,
        threads=threads,
        cancel=cancel,
    ) as encoder:
        yield encoder


def check_target(job: Job) -> None:
    """Raise an error if the output cannot be written, before any work is done."""
    container_for(job.target)
    check_new_output(job.target, job.source, overwrite=job.overwrite)


def check_codec(kind: ContainerKind, encoder: EncoderKind, codec: str) -> None:
    """Raise an error if the container cannot hold ``codec``, FFmpeg's name of what ``encoder`` makes."""
    if not holds_codec(kind, codec):
        raise error(
            f"{kind.suffix} files cannot hold what {encoder.title} makes",
            "write a .mkv file instead, or use another encoder",
        )
