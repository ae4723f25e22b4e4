"""Shared by backends on graphics cards: moving planes to the device and back.

Each worker has one queue: a stream of the device, and buffers for the integer planes in page-locked memory and on the
device. Upload, network and download are asynchronous; the only wait releases Python's interpreter lock. Workers are
independent: while one copies on the processor, others compute or use the bus.
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

# One recording at a time: an allocation or synchronisation in another thread would abort it.
recording = threading.Lock()


class DeviceQueue(Protocol):
    """A stream of one device with its buffers. All methods but ``wait`` are asynchronous."""

    source: Luma
    """Input plane in page-locked memory, (height, width)."""
    target: Luma
    """Output plane in page-locked memory, (height, width)."""

    def selected(self) -> AbstractContextManager[object]:
        """Make device and stream current in this thread; the other methods may be called only in this block."""

    def upload(self) -> None:
        """Copy ``source`` to the device."""

    def run(self) -> None:
        """Run the network, from integers to integers."""

    def download(self) -> None:
        """Copy the result to ``target``."""

    def wait(self) -> None:
        """Wait until all work is done, without the interpreter lock."""

    def record(self) -> None:
        """Record what ``run`` does, so that each later run is one call to the device.

        Raises:
            Exception: Any exception of the library means that it cannot be recorded; ``run`` still works.
        """


class PipelineEngine:
    """A network on one or several devices, which are assigned to workers in turn."""

    def __init__(self, queues: Sequence[Callable[[], DeviceQueue]], plane: PlaneFormat, *, record: bool) -> None:
        """Make an engine.

        Args:
            queues: For each device, a function that makes a queue.
            plane: Format of the input planes.
            record: Whether to record runs.
        """
        self._queues = itertools.cycle(queues)
        self._plane = plane
        self._record = record

    def worker(self) -> "PipelineWorker":
        """A worker on the next device."""
        return PipelineWorker(next(self._queues)(), self._plane, record=self._record)


class PipelineWorker:
    """A worker with one queue."""

    def __init__(self, queue: DeviceQueue, plane: PlaneFormat, *, record: bool) -> None:
        """Own ``queue``. Recording takes several runs."""
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
