"""A dry run: the output of a job, and how long it would take."""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import vapoursynth as vs

from vs_srcomp.batch.cut import cut_prepared
from vs_srcomp.batch.records import Segment, Share
from vs_srcomp.encoders.feed import feed, free_clips
from vs_srcomp.progress import Progress, check_cancelled
from vs_srcomp.transcode.job import Job
from vs_srcomp.transcode.prepare import prepare, start_encoder

# Places in the clip at which frames are encoded, and how many consecutive ones in each of two passes. What a pass takes
# however long it is (the start of the encoder, the search for each place) is in both, and not in their difference.
_PLACES = 3
_SHORT, _LONG = 1, 8


@dataclass(frozen=True)
class Estimate:
    """The result of a dry run."""

    segments: Sequence[Segment]
    seconds: float
    """Time to decode, upscale and encode a frame."""
    models: dict[str, int]
    """Number of encoded frames by model name."""


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
            models: Counter[str] = Counter()

            def seconds_for(clip: vs.VideoNode) -> float:
                began = time.monotonic()
                with start_encoder(
                    self.job,
                    work.info,
                    frames=clip.num_frames,
                    output=Path(tempfile.gettempdir(), self.job.target.name),
                    threads=share.threads,
                    cancel=cancel,
                ) as encoder:
                    models.update(feed(clip, encoder, lambda _: None, work.info.time_base, cancel=cancel))
                return time.monotonic() - began

            return Estimate(segments, seconds_a_frame(work.output, seconds_for), dict(models))


def seconds_a_frame(clip: vs.VideoNode, seconds_for: Callable[[vs.VideoNode], float]) -> float:
    """Time that a frame of ``clip`` adds to the work, from the times ``seconds_for`` parts of it.

    Of a clip that is not much longer than these parts, it is the time for the whole clip by its frames.
    """
    frames: int = clip.num_frames
    if frames <= _PLACES * (_SHORT + _LONG):
        return seconds_for(clip) / frames
    clip.get_frame(0).close()  # which compiles the network
    last = frames - _SHORT - _LONG
    starts = [last * place // (_PLACES - 1) for place in range(_PLACES)]
    # Different frames, as equal ones could be taken from memory.
    first = seconds_for(vs.core.std.Splice([clip[start : start + _SHORT] for start in starts]))
    second = seconds_for(vs.core.std.Splice([clip[start + _SHORT : start + _SHORT + _LONG] for start in starts]))
    if second <= first:  # beside other work
        return second / (_PLACES * _LONG)
    return (second - first) / (_PLACES * (_LONG - _SHORT))
