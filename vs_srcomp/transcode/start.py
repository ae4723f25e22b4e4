"""The encoder that a job asks for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from vs_srcomp.encoders.library import Encoder
from vs_srcomp.encoders.pipe import PipedEncoder
from vs_srcomp.encoders.pipe_command import PipeCommand
from vs_srcomp.media.picture import Picture
from vs_srcomp.transcode.job import Job, encoder_settings


@contextmanager
def started(
    job: Job,
    picture: Picture,
    time_base: Fraction,
    rate: Fraction | None,
    *,
    frames: int,
    folder: Path,
    threads: int = 0,
    cancel: threading.Event | None = None,
) -> Iterator[Encoder | PipedEncoder]:
    """The encoder of ``job``, which ends with the block.

    Args:
        job: What is to be done.
        picture: What the frames are.
        time_base: The unit of timestamps, in seconds.
        rate: Frames per second, on average if they vary; only the spending of bits depends on it.
        frames: How many there will be.
        folder: Where programs may write; nothing is left there.
        threads: About how many processors to keep busy, 0 for all.
        cancel: Ends programs when set.

    Raises:
        vs.Error: The encoder refuses the picture or the settings, or the program cannot be run.
    """
    if not job.pipe:
        yield Encoder(picture, encoder_settings(job), time_base, rate, threads=threads)
        return
    with PipedEncoder(
        PipeCommand.parse(job.pipe),
        picture,
        rate,
        time_base,
        form=job.pipe_format,
        frames=frames,
        folder=folder,
        threads=threads,
        cancel=cancel,
    ) as encoder:
        yield encoder
