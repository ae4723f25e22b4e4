"""Clips in memory, and a host that requests frames."""

import threading
import time

import vapoursynth as vs


def clip_in_memory(clip: vs.VideoNode, frames: int) -> vs.VideoNode:
    """The first ``frames`` of ``clip`` in an endless loop, from the core's memory.

    Requests run no Python code, which would distort the measurement.
    """
    held = list(clip[:frames].frames())
    template = clip[:frames].std.BlankClip(keep=True)
    node = template.std.ModifyFrame(template, lambda n, f: held[n])
    node.std.SetVideoCache(mode=1, fixedsize=1, maxsize=len(held), maxhistory=0)
    for _ in node.frames(close=True):
        pass
    return node.std.Loop(0)


class Host:
    """Requests the frames of a clip in order, as many in parallel as the core has threads, and drops them."""

    def __init__(self, clip: vs.VideoNode, first: int = 0) -> None:
        """Begin with frame ``first``. Each call of `run` continues where the last one ended, so that no cache helps."""
        # The cache of the last node only costs memory if each frame is requested once.
        clip.std.SetVideoCache(mode=0)
        self._clip = clip
        self._next = first
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._in_flight = 0
        self._done = 0
        self._deadline = 0.0
        self._failure: Exception | None = None

    @property
    def at_end(self) -> bool:
        """Whether all frames have been requested."""
        return self._next >= int(self._clip.num_frames)

    def run(self, seconds: float) -> tuple[int, float]:
        """Request frames for that time. Returns the number of frames, and the seconds until the last one came.

        Raises:
            Exception: What the graph raised.
        """
        start = time.perf_counter()
        self._deadline = start + seconds
        self._done = 0
        self._idle.clear()
        with self._lock:
            numbers = [n for n in (self._claim(ask=True) for _ in range(vs.core.num_threads)) if n is not None]
        for number in numbers:
            self._clip.get_frame_async(number, self._receive)
        if numbers:
            self._idle.wait()
        if self._failure:
            raise self._failure
        return self._done, time.perf_counter() - start

    def _receive(self, frame: vs.VideoFrame | None, failure: Exception | None) -> None:
        if frame is not None:
            frame.close()
        with self._lock:
            self._in_flight -= 1
            self._done += 1
            self._failure = self._failure or failure
            number = self._claim(ask=self._failure is None and time.perf_counter() < self._deadline)
            idle = self._in_flight == 0
        if number is not None:
            self._clip.get_frame_async(number, self._receive)
        elif idle:
            self._idle.set()

    def _claim(self, *, ask: bool) -> int | None:
        """The number of the next frame to request, if any."""
        if not ask or self.at_end:
            return None
        self._next += 1
        self._in_flight += 1
        return self._next - 1
