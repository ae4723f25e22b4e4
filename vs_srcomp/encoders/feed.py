"""Encoding of a clip, with filters and encoder running at the same time."""

import gc
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from typing import Protocol

import vapoursynth as vs

from vs_srcomp.media.section import frame_time
from vs_srcomp.progress import Progress, check_cancelled
from vs_srcomp.source.media import VideoPacket

# Frames in the queue to the encoder. More of them only take memory.
_QUEUED = 4

_MILLISECOND = Fraction(1, 1000)


class FrameEncoder(Protocol):
    """An encoder, which returns packets some frames later."""

    def encode(self, frame: vs.VideoFrame, timestamp: int, duration: int) -> Iterator[VideoPacket]:
        """See `vs_srcomp.encoders.library.Encoder.encode`."""

    def finish(self) -> Iterator[VideoPacket]:
        """Yield the remaining packets. No frame can follow."""

    def abandon(self) -> None:
        """Stop at once; wakes threads that wait for a packet."""


def feed(
    clip: vs.VideoNode,
    encoder: FrameEncoder,
    write: Callable[[VideoPacket], None],
    time_base: Fraction,
    *,
    after: int | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Counter[str]:
    """Encode all frames of ``clip``.

    Args:
        clip: The clip.
        encoder: The encoder, which is finished at the end.
        write: Called with each packet in decoding order, in another thread.
        time_base: Unit of timestamps, in seconds.
        after: All timestamps are later than this one.
        progress: Called with the number of frames that are encoded or queued for it, and the number of all frames.
        cancel: When set, it stops the work.

    Returns:
        Number of frames by model name.

    Raises:
        CancelledError: ``cancel`` was set.
    """
    models: Counter[str] = Counter()
    last = after

    def encode(frame: vs.VideoFrame) -> None:
        nonlocal last
        length = round(Fraction(frame.props.get("_DurationNum", 0), frame.props.get("_DurationDen", 1)) / time_base)
        last = later(round(frame_time(frame, time_base) / time_base), last, length, time_base)
        for packet in encoder.encode(frame, last, length):
            write(packet)

    def finish() -> None:
        for packet in encoder.finish():
            check_cancelled(cancel)
            write(packet)

    # A second thread encodes and writes while the core makes the next frames; this one waits for both.
    with ThreadPoolExecutor(1, "srcomp encoder") as thread:
        queue: deque[Future[None]] = deque()
        try:
            for number, frame in enumerate(clip.frames(collect_garbage=False), 1):
                check_cancelled(cancel)
                if len(queue) == _QUEUED:
                    queue.popleft().result()
                models[frame.props["SrcompModel"]] += 1
                queue.append(thread.submit(encode, frame))
                if progress:
                    progress(number, clip.num_frames)
            queue.append(thread.submit(finish))
            for pending in queue:
                pending.result()
        except BaseException:
            encoder.abandon()
            thread.shutdown(wait=False, cancel_futures=True)
            raise
    return models


def free_clips() -> None:
    """Free the clips of finished encodes, with their decoders, threads and frames.

    The core's ``frames`` leaves reference cycles that include the clip (VapourSynth R81), and many clips may accumulate
    before Python's garbage collector runs.
    """
    gc.collect()


def later(timestamp: int, last: int | None, length: int, time_base: Fraction) -> int:
    """``timestamp``, or a later one if it is not after ``last``, because muxers refuse equal timestamps.

    The frame is delayed by a millisecond, which every container can store, if its duration allows that, otherwise by as
    little as possible, so that later frames are not delayed.

    Args:
        timestamp: Timestamp of the frame, in units of ``time_base``.
        last: Timestamp of the previous frame; None for the first.
        length: Duration of the frame; 0 if the next one has the same timestamp.
        time_base: Unit in seconds.
    """
    if last is None or timestamp > last:
        return timestamp
    step = max(1, round(_MILLISECOND / time_base))
    return last + (step if timestamp + length > last + step else 1)
