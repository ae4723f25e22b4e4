"""The clips of a job."""

from fractions import Fraction

import vapoursynth as vs
from av.video.stream import VideoStream

from vs_srcomp.backends.base import BackendConfig, ThreadedBackend
from vs_srcomp.encoders.library import encodable
from vs_srcomp.grain import restore_grain
from vs_srcomp.settings import backend_of
from vs_srcomp.source import source
from vs_srcomp.source.media import fraction
from vs_srcomp.transcode.deinterlace import deinterlaced
from vs_srcomp.transcode.job import Job, encoder_settings
from vs_srcomp.upscale import upscale


def open_source(job: Job, *, threads: int = 0) -> vs.VideoNode:
    """The decoded source of ``job``, from the first frame to the last.

    Args:
        job: What to do.
        threads: Threads of the decoder; 0 for its default.
    """
    return _opened(job, threads, film_grain=job.film_grain == "apply")


def _opened(job: Job, threads: int, *, film_grain: bool) -> vs.VideoNode:
    clip = source(job.source, film_grain=film_grain, threads=threads)
    return deinterlaced(clip) if job.deinterlace else clip


def upscaled(clip: vs.VideoNode, job: Job, *, first: int = 0, threads: int = 0) -> vs.VideoNode:
    """``clip`` upscaled as ``job`` specifies, in a format that its encoder takes.

    Args:
        clip: The clip of `open_source`, or a part of it.
        job: What to do.
        first: Number of the source frame that ``clip`` begins with.
        threads: Threads of decoder and network; 0 for all processors.
    """
    kind = encoder_settings(job).kind
    if clip.format.color_family == vs.RGB:
        return encodable(clip, kind)
    up = upscale(clip, **job.arguments() | {"backend": _limited(backend_of(job), threads)})
    if job.film_grain == "restore":
        grainy = _opened(job, threads, film_grain=True)[first : first + clip.num_frames]
        up = restore_grain(up, clip, grainy)
    return encodable(up, kind, clip)


def average_rate(clip: vs.VideoNode, stream: VideoStream) -> Fraction | None:
    """Frames per second for the encoder: the average, if the rate varies."""
    rate = clip.fps if clip.fps.numerator else stream.average_rate
    return fraction(rate) if rate and rate.numerator else None


def _limited(backend: BackendConfig, threads: int) -> BackendConfig:
    """``backend`` with so many threads, if it has that setting and the user has not set it."""
    if threads and isinstance(backend, ThreadedBackend) and not backend.threads:
        return backend.with_threads(threads)
    return backend
