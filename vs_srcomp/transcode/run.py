"""A job from beginning to end: prepare, then run."""

import threading
import time
from contextlib import ExitStack
from functools import cache

from vs_srcomp.encoders.feed import feed
from vs_srcomp.files import atomic_path
from vs_srcomp.media.mux import Muxer
from vs_srcomp.media.muxer_errors import writing
from vs_srcomp.progress import Progress, check_cancelled
from vs_srcomp.source.media import VideoPacket
from vs_srcomp.transcode.info import check_unchanged
from vs_srcomp.transcode.job import Job, Result
from vs_srcomp.transcode.prepare import check_target, prepare, start_encoder


def transcode(job: Job, *, progress: Progress | None = None, cancel: threading.Event | None = None) -> Result:
    """Do ``job``: decode, upscale and encode the video, copy everything else.

    Timestamps are those of the source, as far as the container can count: Matroska and WebM count milliseconds. The
    output takes its name only when it is whole; whatever goes wrong, nothing is left behind.

    Args:
        job: What to do.
        progress: Called with the number of frames done and of all frames.
        cancel: Stops the work when set.

    Raises:
        vs.Error: The job cannot be done.
        CancelledError: ``cancel`` was set.
    """
    began = time.monotonic()
    check_target(job)
    with prepare(job) as work:
        info, frames = work.info, work.output.num_frames
        with (
            writing(job.target),
            start_encoder(job, info, frames=frames, beside=job.target, cancel=cancel) as encoder,
            atomic_path(job.target, overwrite=job.overwrite) as temporary,
        ):
            with ExitStack() as opened:

                @cache
                def muxer() -> Muxer:
                    return opened.enter_context(work.muxer(temporary, info, encoder.stream))

                def write(packet: VideoPacket) -> None:
                    muxer().write(packet)

                # What a program encodes is unknown before its first packet; all else can be refused now.
                if not job.pipe:
                    muxer()
                models = feed(work.output, encoder, write, info.time_base, progress=progress, cancel=cancel)
                # A file that is still being written has other streams than pictures by now.
                check_unchanged(job.source, info.source)
                muxer().finish()
            check_cancelled(cancel)
    return Result.of(job, info, frames=frames, seconds=time.monotonic() - began, models=models)
