"""What backends on graphics cards share: moving planes to the device and back.

Each worker has one queue: a stream of the device, and buffers for the integer planes in page-locked memory and on the
device. Upload, network and download are only put into it; the one time that a frame waits, it lets other threads of
Python run. Workers do not know of each other: while one copies on the processor, others compute or are on the bus.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from vs_srcomp.backends.base import Luma, PlaneFormat, copy_with_edges
from vs_srcomp.backends.tiling import is_out_of_memory
from vs_srcomp.errors import first_line
from vs_srcomp.log import log_once

STREAMS_PER_DEVICE = 3
"""One frame on the bus in each direction and one in the network."""

# Devices record one graph at a time: an allocation or synchronisation elsewhere would end the recording.
recording = threading.Lock()


class DeviceQueue(Protocol):
    """A stream of one device and its buffers; methods put work into it and return, all but ``wait``."""

    source: Luma
    """Page-locked, (height, width) that the network takes."""
    target: Luma
    """Page-locked, (height, width) that it gives."""

    def selected(self) -> AbstractContextManager[object]:
        """Make the device and stream those of this thread; the other methods may be called in this block only."""

    def upload(self) -> None:
        """Copy ``source`` to the device."""

    def run(self) -> None:
        """Run the network, from integers to integers."""

    def download(self) -> None:
        """Copy the result to ``target``."""

    def wait(self) -> None:
        """Until all of this is done, without the interpreter lock."""

    def record(self) -> None:
        """Record what ``run`` does once, so that it is one call to the device from now on.

        Raises:
            Exception: It cannot be recorded, whatever the library raises; ``run`` goes on as before.
        """


class PipelineEngine:
    """A network on one or several devices, which workers get in turn."""

    def __init__(self, queues: Sequence[Callable[[], DeviceQueue]], plane: PlaneFormat, *, record: bool) -> None:
        """Make an engine.

        Args:
            queues: Of each device, what makes a queue for the network on it.
            plane: The planes that it was made for.
            record: Whether to record runs.
        """
        self._queues = itertools.cycle(queues)
        self._plane = plane
        self._record = record

    def worker(self) -> "PipelineWorker":
        """A worker on the next device."""
        return PipelineWorker(next(self._queues)(), self._plane, record=self._record)


class PipelineWorker:
    """One queue, for one frame at a time."""

    def __init__(self, queue: DeviceQueue, plane: PlaneFormat, *, record: bool) -> None:
        """Take ``queue`` for itself; recording takes some runs."""
        self._queue = queue
        scale = queue.target.shape[0] // queue.source.shape[0]
        self._height, self._width = plane.height * scale, plane.width * scale
        if record:
            self._try_to_record()

    def restore(self, source: Luma, target: Luma) -> None:
        """Run the network; see ``Worker``."""
        queue = self._queue
        with queue.selected():
            copy_with_edges(source, queue.source)
            queue.upload()
            queue.run()
            queue.download()
            queue.wait()
        np.copyto(target, queue.target[: self._height, : self._width])

    def _try_to_record(self) -> None:
        try:
            with recording, self._queue.selected():
                self._queue.record()
        except Exception as reason:
            if is_out_of_memory(reason):
                raise
            log_once(f"no CUDA graph, which would spare some time a frame: {first_line(reason)}")
