"""From the frames of a clip to packets, where filters and encoder work at the same time."""

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

# Frames that wait for the encoder; beyond a few, they only take memory.
_QUEUED = 4

_MILLISECOND = Fraction(1, 1000)


class FrameEncoder(Protocol):
    """What turns frames into packets, some frames later."""

    def encode(self, frame: vs.VideoFrame, timestamp: int, duration: int) -> Iterator[VideoPacket]:
        """See `vs_srcomp.encoders.library.Encoder.encode`."""

    def finish(self) -> Iterator[VideoPacket]:
        """Yield the packets of the frames that are still in the encoder. No frame can follow."""

    def abandon(self) -> None:
        """Stop: no packet is needed any more. Threads that wait for one go on."""


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
        clip: What to encode.
        encoder: Gets the frames, and is finished after them.
        write: Gets the packets in decoding order, in another thread.
        time_base: The unit of timestamps, in seconds.
        after: Timestamps are later than this one.
        progress: Called with the number of frames done and of all frames.
        cancel: Stops the work when set.

    Returns:
        The number of frames by name of the model that restored them.

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

    # One thread encodes and writes while the core works on the next frames, and this one only waits for both.
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
    """Free clips that have been fed and are not used any more, with their decoders, threads and frames.

    The core's ``frames`` leaves objects behind that refer to each other and to the clip (VapourSynth R81), and Python's
    collector may not come to them before many clips have been added.
    """
    gc.collect()


def later(timestamp: int, last: int | None, length: int, time_base: Fraction) -> int:
    """``timestamp``, or another after ``last``: two frames at one moment are refused by muxers.

    The frame is put off by a millisecond, which every container can store, if it is shown longer than that, and by as
    little as possible if not: nothing that comes after has to wait.

    Args:
        timestamp: When the frame is shown, in units of ``time_base``.
        last: When the one before it is; None for the first.
        length: How long the frame is shown; 0 if the next one is shown at the same moment.
        time_base: In seconds.
    """
    if last is None or timestamp > last:
        return timestamp
    step = max(1, round(_MILLISECOND / time_base))
    return last + (step if timestamp + length > last + step else 1)
