"""A short look at a job, for a plan of many."""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import vapoursynth as vs

from vs_srcomp.batch.cut import cut
from vs_srcomp.batch.records import Segment, Share
from vs_srcomp.encoders.feed import CancelledError, Progress, feed, free_clips
from vs_srcomp.transcode.graph import open_source, upscaled
from vs_srcomp.transcode.job import Job
from vs_srcomp.transcode.start import started

# So many frames in a row are encoded in so many places.
_FRAMES, _PLACES = 4, 3


@dataclass(frozen=True)
class Survey:
    """What a short look at a job has shown."""

    segments: Sequence[Segment]
    models: dict[str, int]
    """Number of the frames looked at, by name of the model that restored them."""
    seconds: float
    """That a frame took to decode, upscale and encode."""


@dataclass(frozen=True)
class Look:
    """Look at a job: a task of a pool. Nothing is written."""

    job: Job

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> Survey:
        """What it has shown; errors as of `vs_srcomp.batch.cut.cut`."""
        free_clips()  # those of the task before
        segments = cut(self.job, threads=share.threads)
        if cancel.is_set():
            raise CancelledError
        outline = segments[0].outline
        section = outline.section
        file = str(self.job.source.absolute())
        clip = open_source(self.job, file, threads=share.threads)[section.first : section.stop]
        output = upscaled(clip, self.job, file, first=section.first, threads=share.threads)
        output.get_frame(0)  # which makes everything ready
        last = max(0, output.num_frames - _FRAMES)
        starts = sorted({last * place // (_PLACES - 1) for place in range(_PLACES)})
        sample = vs.core.std.Splice([output[start : start + _FRAMES] for start in starts])
        began = time.monotonic()
        with started(
            self.job,
            outline.picture,
            outline.time_base,
            outline.average_rate,
            frames=sample.num_frames,
            folder=Path(tempfile.gettempdir()),
            threads=share.threads,
            cancel=cancel,
        ) as encoder:
            models = feed(sample, encoder, lambda _: None, outline.time_base, cancel=cancel)
        return Survey(segments, dict(Counter(models)), (time.monotonic() - began) / sample.num_frames)
