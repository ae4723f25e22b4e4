"""A job from beginning to end."""

import errno
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import vapoursynth as vs
from av.format import Flags
from av.video.stream import VideoStream

from vs_srcomp.errors import error
from vs_srcomp.files import atomic_path
from vs_srcomp.grain import restore_grain
from vs_srcomp.log import say
from vs_srcomp.source import source
from vs_srcomp.source.media import local_file, open_container
from vs_srcomp.transcode.containers import container_for
from vs_srcomp.transcode.encode import Encoder, EncoderSettings, encodable
from vs_srcomp.transcode.job import Job
from vs_srcomp.transcode.memory import give_back_free_memory
from vs_srcomp.transcode.mux import Muxer, VideoTrack
from vs_srcomp.transcode.picture import describe_picture
from vs_srcomp.transcode.plan import make_plan
from vs_srcomp.transcode.section import find_section, frame_time
from vs_srcomp.transcode.times import fraction
from vs_srcomp.upscale import upscale

# Frames that wait for the encoder; beyond a few, they only take memory.
_QUEUED = 4

_TS_DISCONT: int = Flags.ts_discont.value  # type: ignore[assignment]  # the stub says that it is a flag itself

type Progress = Callable[[int, int], None]
"""Called with the number of frames that are done and of all frames, often and from the caller's thread."""


class CancelledError(Exception):
    """The caller's event was set; nothing is left behind."""


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
    kind = container_for(job.target)
    file = local_file(job.source)
    _check_target(job)
    with open_container(file) as container:
        plan = make_plan(container, kind, drop_incompatible=job.drop_incompatible)
        clip = source(file, film_grain=job.film_grain == "apply")
        time_base = fraction(plan.video.time_base)
        section = find_section(
            clip,
            job.start,
            job.end,
            origin=Fraction(container.start_time or 0, av.time_base),
            # The clock of broadcasts starts anywhere.
            keeps_clock=not container.format.flags & _TS_DISCONT,
            time_base=time_base,
        )
        clip = clip[section.first : section.stop]
        grainy = source(file, film_grain=True)[section.first : section.stop] if job.film_grain == "restore" else None
        output = _output(clip, grainy, job)
        first = clip.get_frame(0)
        _announce_losses(first)
        picture = describe_picture(output, first.props, output.get_frame(0).props)
        settings = EncoderSettings(crf=job.crf, preset=job.preset, params=job.svt_params)
        encoder = Encoder(picture, settings, time_base, _rate(clip, plan.video))
        rate = clip.fps if clip.fps.numerator else None
        track = VideoTrack(picture=picture, header=encoder.header, time_base=time_base, rate=rate)
        with _written(job) as temporary:
            with Muxer(temporary, kind, container, plan, track, section) as muxer:
                models = _run(output, encoder, muxer, time_base, progress, cancel)
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


def _check_target(job: Job) -> None:
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
def _written(job: Job) -> Iterator[Path]:
    """The temporary path of the output; errors of the file system in the user's words."""
    try:
        with atomic_path(job.target, overwrite=job.overwrite) as temporary:
            yield temporary
    except (OSError, av.FFmpegError) as reason:
        what = os.strerror(reason.errno) if reason.errno and reason.errno in errno.errorcode else str(reason)
        raise error(
            f"cannot write {str(job.target)!r}: {what.lower()}", "check the folder, its permissions and the free space"
        ) from reason


def _output(clip: vs.VideoNode, grainy: vs.VideoNode | None, job: Job) -> vs.VideoNode:
    if clip.format.color_family == vs.RGB:
        return encodable(clip)
    up = upscale(
        clip,
        ratio=job.ratio,
        width=job.width,
        height=job.height,
        q=job.q,
        model=job.model,
        **({} if job.backend is None else {"backend": job.backend}),
    )
    return encodable(up if grainy is None else restore_grain(up, clip, grainy))


def _announce_losses(first: vs.VideoFrame) -> None:
    for prop, name in (("DolbyVisionRPU", "Dolby Vision"), ("HDR10Plus", "HDR10+")):
        if prop in first.props:
            say(f"the {name} metadata is left out: it describes each scene, and SVT-AV1 takes what holds for all")


def _run(
    clip: vs.VideoNode,
    encoder: Encoder,
    muxer: Muxer,
    time_base: Fraction,
    progress: Progress | None,
    cancel: threading.Event | None,
) -> Counter[str]:
    """Bring all frames of ``clip`` into the file; gives the number of frames by model."""
    models: Counter[str] = Counter()
    last: int | None = None

    def encode(frame: vs.VideoFrame) -> None:
        nonlocal last
        timestamp = round(frame_time(frame, time_base) / time_base)
        if last is not None and timestamp <= last:  # two frames at one moment, which muxers refuse
            timestamp = last + 1
        last = timestamp
        length = Fraction(frame.props.get("_DurationNum", 0), frame.props.get("_DurationDen", 1))
        for packet in encoder.encode(frame, timestamp, round(length / time_base)):
            muxer.write(packet)

    def finish() -> None:
        for packet in encoder.finish():
            muxer.write(packet)
        muxer.finish()

    # One thread encodes and writes while the core works on the next frames, and this one only waits for both.
    with ThreadPoolExecutor(1, "srcomp encoder") as thread:
        queue: deque[Future[None]] = deque()
        try:
            for number, frame in enumerate(clip.frames(collect_garbage=False), 1):
                if cancel and cancel.is_set():
                    raise CancelledError
                if len(queue) == _QUEUED:
                    queue.popleft().result()
                models[frame.props["SrcompModel"]] += 1
                queue.append(thread.submit(encode, frame))
                give_back_free_memory(number)
                if progress:
                    progress(number, clip.num_frames)
            queue.append(thread.submit(finish))
            for pending in queue:
                pending.result()
        except BaseException:
            thread.shutdown(wait=False, cancel_futures=True)
            raise
    return models


def _rate(clip: vs.VideoNode, stream: VideoStream) -> Fraction | None:
    """Frames per second for the encoder, on average if there is not one rate."""
    rate = clip.fps if clip.fps.numerator else stream.average_rate
    return fraction(rate) if rate and rate.numerator else None
