from typing import Any

import numpy as np
import pytest

from tests.helpers.pictures import noise
from vs_srcomp.backends.base import Luma, PlaneFormat, copy_with_edges
from vs_srcomp.backends.device_pipeline import PipelineEngine
from vs_srcomp.backends.tiling import is_out_of_memory


class Queue:
    """A device without a device: what the pipeline asks of it, in order, and a network that inverts."""

    def __init__(self, plane: PlaneFormat, record: Exception | None = None) -> None:
        self.source: Luma = np.zeros((plane.height + 1, plane.width + 3), plane.dtype)
        self.target: Luma = np.zeros_like(self.source)
        self.calls: list[str] = []
        self._record = record
        self._device: Luma = self.source
        self._result: Luma = self.source
        self._depth = 0

    def selected(self) -> "Queue":
        return self

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1

    def upload(self) -> None:
        self._note("upload")
        self._device = self.source.copy()

    def run(self) -> None:
        self._note("run")
        self._result = 255 - self._device

    def download(self) -> None:
        self._note("download")
        self.target[:] = self._result

    def wait(self) -> None:
        self._note("wait")

    def record(self) -> None:
        self._note("record")
        if self._record:
            raise self._record

    def _note(self, call: str) -> None:
        assert self._depth == 1, "the device is not that of this thread"
        self.calls.append(call)


def test_pipeline_waits_once_a_frame_and_keeps_what_lies_outside_the_plane() -> None:
    plane = PlaneFormat(5, 4, 8)
    queue = Queue(plane)
    worker = PipelineEngine([lambda: queue], plane, record=True).worker()
    codes, target = noise(plane), np.zeros((4, 5), np.uint8)
    worker.restore(codes, target)
    assert queue.calls == ["record", "upload", "run", "download", "wait"]
    assert np.array_equal(target, 255 - codes)
    assert np.array_equal(queue.source, np.pad(codes, ((0, 1), (0, 3)), mode="edge"))


def test_pipeline_goes_on_without_a_recording_but_not_without_memory() -> None:
    plane = PlaneFormat(5, 4, 8)
    queue = Queue(plane, RuntimeError("operation not permitted when stream is capturing"))
    target = np.zeros((4, 5), np.uint8)
    PipelineEngine([lambda: queue], plane, record=True).worker().restore(noise(plane), target)
    assert target.any()
    full = Queue(plane, MemoryError("CUDA: out of memory"))
    with pytest.raises(MemoryError) as raised:
        PipelineEngine([lambda: full], plane, record=True).worker()
    assert is_out_of_memory(raised.value)


def test_workers_go_to_the_devices_in_turn() -> None:
    plane = PlaneFormat(5, 4, 8)
    made: list[int] = []

    def maker(device: int) -> Any:
        def make() -> Queue:
            made.append(device)
            return Queue(plane)

        return make

    engine = PipelineEngine([maker(0), maker(1)], plane, record=False)
    for _ in range(4):
        engine.worker()
    assert made == [0, 1, 0, 1]


@pytest.mark.parametrize("shape", [(1, 1), (3, 5)])
def test_edges_are_those_of_numpy(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).integers(0, 1024, shape).astype(np.uint16)
    padded = np.zeros((4, 8), np.uint16)
    copy_with_edges(plane, padded)
    assert np.array_equal(padded, np.pad(plane, ((0, 4 - shape[0]), (0, 8 - shape[1])), mode="edge"))
