"""A job from start to end."""

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
    """Do ``job``: decode, upscale and encode the video, and copy everything else.

    Timestamps are those of the source, in the resolution of the container (1 ms in Matroska and WebM). The output gets
    its name only when it is complete; after an error, nothing is left.

    Args:
        job: What to do.
        progress: Called with the number of frames that are encoded or queued for it, and the number of all frames.
        cancel: When set, it stops the work.

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
            start_encoder(job, info, frames=frames, output=job.target, cancel=cancel) as encoder,
            atomic_path(job.target, overwrite=job.overwrite, keep=True) as temporary,
        ):
            with ExitStack() as opened:

                @cache
                def muxer() -> Muxer:
                    return opened.enter_context(work.muxer(temporary, info, encoder.stream))

                def write(packet: VideoPacket) -> None:
                    muxer().write(packet)

                # The codec of a program is unknown before its first packet. With encoders, the muxer can refuse now.
                if not job.pipe:
                    muxer()
                models = feed(work.output, encoder, write, info.time_base, progress=progress, cancel=cancel)
                # If the source is still being written, its other streams have changed meanwhile.
                check_unchanged(job.source, info.source)
                muxer().finish()
            check_cancelled(cancel)
    return Result.of(job, info, frames=frames, seconds=time.monotonic() - began, models=models)
