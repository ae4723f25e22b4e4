"""A dry run: the output of a job, and how long it would take."""

import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import vapoursynth as vs

from vs_srcomp.batch.cut import cut_prepared
from vs_srcomp.batch.records import Segment, Share
from vs_srcomp.encoders.feed import feed, free_clips
from vs_srcomp.progress import Progress, check_cancelled
from vs_srcomp.transcode.job import Job
from vs_srcomp.transcode.prepare import prepare, start_encoder

# Number of consecutive frames to encode, and at how many places.
_FRAMES, _PLACES = 4, 3


@dataclass(frozen=True)
class Estimate:
    """The result of a dry run."""

    segments: Sequence[Segment]
    models: dict[str, int]
    """Number of encoded frames by model name."""
    seconds: float
    """Time to decode, upscale and encode a frame."""


@dataclass(frozen=True)
class DryRun:
    """A task that encodes some frames of a job. Nothing is written."""

    job: Job

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> Estimate:
        """Encode the frames. Raises the errors of `vs_srcomp.batch.cut.cut`."""
        free_clips()  # the previous task's messages
        with prepare(self.job, threads=share.threads) as work:
            segments = cut_prepared(work)
            check_cancelled(cancel)
            output = work.output
            last = max(0, output.num_frames - _FRAMES)
            starts = sorted({last * place // (_PLACES - 1) for place in range(_PLACES)})
            sample = vs.core.std.Splice([output[start : start + _FRAMES] for start in starts])
            began = time.monotonic()
            with start_encoder(
                self.job,
                work.info,
                frames=sample.num_frames,
                output=Path(tempfile.gettempdir(), self.job.target.name),
                threads=share.threads,
                cancel=cancel,
            ) as encoder:
                models = feed(sample, encoder, lambda _: None, work.info.time_base, cancel=cancel)
            return Estimate(segments, dict(models), (time.monotonic() - began) / sample.num_frames)
