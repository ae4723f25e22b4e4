"""Frames by number: a thread decodes ahead of sequential requests, and a window keeps the latest frames."""

import threading
import weakref
from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from vs_srcomp.source.decoder import DamageError, Decoder

# The threads of a host may request frames slightly out of order: so many frames before the latest request.
_OUT_OF_STEP = 8

# While requests go forward, only the last few returned frames are kept: a decoder that gets its memory back at once
# writes to memory that is still in the processor's cache. If a dropped frame is requested again, within the reach of a
# temporal filter, so many frames are kept from then on.
_KEPT = 3
_KEPT_FOR_FILTERS = 16

# For backward requests, frames are kept up to so many bytes, or as many as for filters if that is more.
_MANY_BYTES = 128 << 20

# How far the thread decodes ahead, in bytes and within limits in frames. It wakes when half of these frames are used:
# waking it for every small frame would cost more than copying one.
_AHEAD_BYTES = 16 << 20
_LEAST_AHEAD, _MOST_AHEAD = 2, 8


class LostFrameError(Exception):
    """The decoder does not return a frame of the index: its data is damaged."""


class ClosedError(Exception):
    """The interpreter exits while a frame is requested."""


class FrameReader:
    """Returns the frames of a stream in any order.

    Attributes:
        index: The frames and packets of the stream.
        first: The first frame, which is decoded when the stream is opened.
    """

    def __init__(self, decoder: Decoder) -> None:
        """Own ``decoder``, which is closed with the reader, and decode the first frame.

        Raises:
            LostFrameError: No frame can be decoded.
        """
        try:
            worker = _Worker(decoder)
        except BaseException:
            decoder.close()
            raise
        self.first = worker.first
        self.index = decoder.index
        self._worker = worker
        # The thread refers to the worker, which does not refer to the reader, so that the reader can be collected.
        weakref.finalize(self, worker.close)

    def pixel_shape(self, number: int) -> Fraction | None:
        """Pixel aspect ratio of frame ``number``, which `get` has returned; None if unknown."""
        return self._worker.decoder.pixel_shape(number)

    def get(self, number: int) -> VideoFrame:
        """The frame ``number``; waits until it is decoded. Only one thread may call it at a time.

        Raises:
            LostFrameError: Its data is damaged.
        """
        return self._worker.get(number)


class _Worker:
    """The state that the thread and its callers share.

    Decoder and run belong to the thread, once it exists; ``_changed`` guards the rest.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self._run: Iterator[tuple[int, VideoFrame]] | None
        self._start: int
        self._run_from(0)
        number, self.first = self._decode_first()
        self._nearest = decoder.index.starts()
        self._from = self._nearest.copy()  # where to decode each frame from: earlier, where that did not bring it
        self._lost = np.zeros(len(decoder.index), bool)  # neither did an earlier start
        self._keys_back = 1  # to an earlier start; doubled at starts that bring nothing

        frame_bytes = sum(plane.buffer_size for plane in self.first.planes)
        self._ahead = min(max(_AHEAD_BYTES // frame_bytes, _LEAST_AHEAD), _MOST_AHEAD)
        self._many = max(_KEPT_FOR_FILTERS, _MANY_BYTES // frame_bytes)
        self._kept = _KEPT
        self._behind = _OUT_OF_STEP
        self._backwards = False
        self._handed_out: deque[int] = deque()
        self._window: dict[int, VideoFrame] = {}
        self._highest = -1
        self._goal = -1
        self._store(number, self.first)

        self._changed = threading.Condition()
        self._wanted: int | None = None
        self._failure: BaseException | None = None
        self._closed = False
        self._is_alone = False  # the thread frees what is left
        self._thread: threading.Thread | None = None

    def get(self, number: int) -> VideoFrame:
        with self._changed:
            self._plan(number)
            if self._batch_is_due():
                self._wake()
            while number not in self._window:
                if self._lost[number]:
                    raise LostFrameError
                if self._failure or self._closed:
                    raise self._failure or ClosedError
                self._wanted = number
                self._wake()
                self._changed.wait_for(lambda: self._wanted is None or self._failure or self._closed)
            frame = self._window[number]
            if not self._backwards and number not in self._handed_out:
                self._handed_out.append(number)
                while len(self._handed_out) > self._kept:
                    self._window.pop(self._handed_out.popleft(), None)
            return frame

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is threading.current_thread():  # It collects garbage, maybe in the middle of decoding.
            self._is_alone = True
            return
        if self._thread:
            self._thread.join()
        self._free()

    def _free(self) -> None:
        self._run = None
        self.decoder.close()

    def _plan(self, number: int) -> None:
        """Decode ahead of forward requests, which may be slightly out of order."""
        if number > self._highest:
            in_order = number <= self._highest + _OUT_OF_STEP
            self._highest = number
            self._goal = number + self._ahead if in_order else number
            if in_order:
                self._backwards = False
        elif number < self._highest - self._behind or self._is_gone(number):
            if number >= self._highest - _KEPT_FOR_FILTERS:
                self._kept = self._behind = _KEPT_FOR_FILTERS
            self._highest = self._goal = number
            self._backwards = True
            self._handed_out.clear()

    def _is_gone(self, number: int) -> bool:
        return number <= self._delivered and number not in self._window

    def _batch_is_due(self) -> bool:
        return self._run is not None and self._delivered + self._ahead // 2 <= self._goal

    def _wake(self) -> None:
        if self._thread is None:
            # A daemon: at exit, the interpreter waits for other threads before it runs finalizers.
            self._thread = threading.Thread(target=self._work, name="srcomp source", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        try:
            while True:
                with self._changed:
                    if self._wanted is None and (self._run is None or self._delivered >= self._goal):
                        self._changed.wait_for(lambda: self._closed or self._wanted is not None or self._batch_is_due())
                    if self._closed:
                        return
                    wanted = self._wanted
                if wanted is not None:
                    self._head_for(wanted)
                self._decode_next()
        except BaseException as failure:
            with self._changed:
                self._failure = failure
                self._changed.notify_all()
        finally:
            if self._is_alone:
                self._free()

    def _head_for(self, number: int) -> None:
        """Start another run if the current one does not reach frame ``number``, or not on the shortest way."""
        start = int(self._from[number])
        if self._run is None or self._delivered >= number or self.decoder.next_packet < start:
            self._run_from(start)

    def _decode_next(self) -> None:
        try:
            delivery = next(self._run, None) if self._run else None
        except DamageError:
            self.decoder.locate_damage()
            self._run_from(self._start)
            return
        with self._changed:
            if delivery:
                self._store(*delivery)
            else:
                self._run = None
                self._note_gap(len(self._lost))
            if self._wanted is not None and (self._wanted in self._window or self._lost[self._wanted]):
                self._wanted = None
                self._changed.notify_all()

    def _run_from(self, start: int) -> None:
        self._run = self.decoder.frames(start)
        self._start = start
        self._delivered = self.decoder.index.first_frame(start) - 1

    def _store(self, number: int, frame: VideoFrame) -> None:
        self._note_gap(number)
        self._delivered = number
        self._window.pop(number, None)
        self._window[number] = frame
        if self._backwards:
            while len(self._window) > self._many:
                del self._window[next(iter(self._window))]
        else:
            first, last = self._highest - self._behind, self._highest + _MOST_AHEAD
            for other in [other for other in self._window if not first <= other <= last]:
                del self._window[other]

    def _note_gap(self, end: int) -> None:
        """Note for the frames between the last returned one and ``end`` that this run does not bring them.

        They are decoded from a key packet before its start, unless they cannot be decoded at all: then a run from
        packet 0 does not bring them, nor one that begins before their nearest key packet and brings its first frame.
        A run that does not is no proof: some files mark packets as keys that are none, or all of them.
        """
        gap = slice(self._delivered + 1, end)
        if gap.start >= gap.stop:
            return
        began_well = gap.start > self.decoder.index.first_frame(self._start)
        self._lost[gap] |= (self._start == 0) | (began_well & (self._nearest[gap] > self._start))
        self._keys_back = 1 if began_well else 2 * self._keys_back
        before = self.decoder.index.packets.earlier_key(self._start, self._keys_back)
        self._from[gap] = np.where(self._from[gap] >= self._start, before, self._from[gap])

    def _decode_first(self) -> tuple[int, VideoFrame]:
        assert self._run is not None
        try:
            delivery = next(self._run, None)
        except DamageError:
            self.decoder.locate_damage()
            self._run_from(0)
            delivery = next(self._run, None)
        if delivery and delivery[0] > 0 and not (self.decoder.damaged and self.decoder.index.packets.key[0]):
            # Earlier frames refer to pictures that were cut off when the file was made. Some decoders call it damage.
            self.decoder.leave_out_first(delivery[0])
            self._run_from(0)
            delivery = next(self._run, None)
        if delivery is None:
            raise LostFrameError
        return delivery
