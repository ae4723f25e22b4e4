"""A CUDA stream with its buffers, through NVIDIA's Python bindings.

The bindings release the interpreter lock in every call (cuda-bindings 12.9.1 and later).
"""

import ctypes
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from vs_srcomp.backends.base import Luma


@dataclass(frozen=True, kw_only=True)
class Card:
    """Facts about a graphics card that compiled code depends on."""

    name: str
    """Name in the driver."""
    capability: str
    """Compute capability, for example ``"9.0"``."""


def why_no_card(device: int) -> str | None:
    """Why the card number ``device`` cannot be used, in one line; None if it can."""
    try:
        runtime = _runtime()
    except ImportError as reason:
        return f"cuda-bindings cannot be loaded: {reason}"
    status, count = runtime.cudaGetDeviceCount()
    if status != runtime.cudaError_t.cudaSuccess:
        return f"no graphics card can be used: {_words(status)}"
    return None if device < count else f"there is no graphics card {device}: CUDA finds {count}"


def card(device: int) -> Card:
    """Facts about a card."""
    properties = _call(_runtime().cudaGetDeviceProperties(device))
    name = bytes(properties.name).split(b"\0")[0].decode()
    return Card(name=name, capability=f"{properties.major}.{properties.minor}")


def driver_version() -> str:
    """The newest CUDA that the driver supports, for example ``"13.2"``."""
    version = int(_call(_runtime().cudaDriverGetVersion()))
    return f"{version // 1000}.{version % 1000 // 10}"


@contextmanager
def selected(device: int) -> Iterator[None]:
    """Make ``device`` current in this thread."""
    runtime = _runtime()
    before = _call(runtime.cudaGetDevice())
    _call(runtime.cudaSetDevice(device))
    try:
        yield
    finally:
        _call(runtime.cudaSetDevice(before))


class CudaQueue:
    """See ``DeviceQueue``."""

    def __init__(
        self,
        device: int,
        source: tuple[int, int],
        target: tuple[int, int],
        dtype: type[np.uint8 | np.uint16],
        bind: Callable[[int, int], Callable[[int], None]],
    ) -> None:
        """Make the stream and the buffers.

        Args:
            device: Number of the card.
            source: Height and width of the network's input.
            target: Height and width of its output.
            dtype: Type of both.
            bind: Takes the addresses of both planes on the card, and returns a function that enqueues one run.

        Raises:
            MemoryError: There is not enough memory on the card, or not enough page-locked memory.
            RuntimeError: The card reports another error.
        """
        runtime = _runtime()
        self._device = device
        with selected(device):
            owned = _Owned(device)
            weakref.finalize(self, owned.release).atexit = False
            self._stream = owned.add(
                _call(runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking)), runtime.cudaStreamDestroy
            )
            self._address = _address(self._stream)
            # Blocking synchronisation leaves the core to the rest of the graph.
            flags = runtime.cudaEventDisableTiming | runtime.cudaEventBlockingSync
            self._done = owned.add(_call(runtime.cudaEventCreateWithFlags(flags)), runtime.cudaEventDestroy)
            self.source, self._input = _plane(owned, source, dtype)
            self.target, self._output = _plane(owned, target, dtype)
        self._owned = owned
        self._launch = bind(self._input, self._output)
        self._graph: Any = None

    @contextmanager
    def selected(self) -> Iterator[None]:
        """Make the card current in this thread; each call names the stream."""
        with selected(self._device):
            yield

    def upload(self) -> None:
        """Copy ``source`` to the card."""
        self._copy(self._input, self.source.ctypes.data, self.source.nbytes, "cudaMemcpyHostToDevice")

    def run(self) -> None:
        """Run the network."""
        if self._graph is not None:
            _call(_runtime().cudaGraphLaunch(self._graph, self._stream))
        else:
            self._launch(self._address)

    def download(self) -> None:
        """Copy the result to ``target``."""
        self._copy(self.target.ctypes.data, self._output, self.target.nbytes, "cudaMemcpyDeviceToHost")

    def wait(self) -> None:
        """Until all is done."""
        _call(_runtime().cudaEventRecord(self._done, self._stream))
        _call(_runtime().cudaEventSynchronize(self._done))

    def record(self) -> None:
        """Record a CUDA graph."""
        runtime = _runtime()
        # The first run does what must not be recorded, such as allocations.
        self.run()
        self.wait()
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        _call(runtime.cudaStreamBeginCapture(self._stream, mode))
        try:
            self._launch(self._address)
        except BaseException:
            # End the recording; its own error says less.
            runtime.cudaStreamEndCapture(self._stream)
            runtime.cudaGetLastError()
            raise
        graph = _call(runtime.cudaStreamEndCapture(self._stream))
        try:
            executable = _call(runtime.cudaGraphInstantiate(graph, 0))
        finally:
            runtime.cudaGraphDestroy(graph)
        self._graph = self._owned.add(executable, runtime.cudaGraphExecDestroy)

    def _copy(self, target: int, source: int, size: int, direction: str) -> None:
        runtime = _runtime()
        kind = getattr(runtime.cudaMemcpyKind, direction)
        _call(runtime.cudaMemcpyAsync(target, source, size, kind, self._stream))


class _Owned:
    """Resources that are released in reverse order when their owner is collected."""

    def __init__(self, device: int) -> None:
        self._runtime = _runtime()
        self._device = device
        self._held: list[tuple[Any, Callable[[Any], Any]]] = []

    def add(self, handle: Any, destroy: Callable[[Any], Any]) -> Any:
        self._held.append((handle, destroy))
        return handle

    def release(self) -> None:
        # Ignore errors: nobody could report them.
        _, before = self._runtime.cudaGetDevice()
        self._runtime.cudaSetDevice(self._device)
        while self._held:
            handle, destroy = self._held.pop()
            destroy(handle)
        self._runtime.cudaSetDevice(before)


def _plane(owned: _Owned, shape: tuple[int, int], dtype: type[np.uint8 | np.uint16]) -> tuple[Luma, int]:
    """A plane in page-locked memory, and the address of its copy on the card."""
    runtime = _runtime()
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    # Page-locked for every card: a thread may have used another card before.
    host = owned.add(_call(runtime.cudaHostAlloc(size, runtime.cudaHostAllocPortable)), runtime.cudaFreeHost)
    there = owned.add(_call(runtime.cudaMalloc(size)), runtime.cudaFree)
    memory = (ctypes.c_uint8 * size).from_address(int(host))
    plane: Any = np.frombuffer(memory, np.uint8).view(dtype).reshape(shape)
    plane.fill(0)
    return plane, int(there)


def _address(handle: Any) -> int:
    return int(import_module("cuda.bindings.utils").get_cuda_native_handle(handle))


def _call(result: tuple[Any, ...]) -> Any:
    """The value of a call; its first result is the status."""
    runtime = _runtime()
    status, *values = result
    if status != runtime.cudaError_t.cudaSuccess:
        if status == runtime.cudaError_t.cudaErrorMemoryAllocation:
            raise MemoryError(f"CUDA: {_words(status)}")
        raise RuntimeError(f"CUDA: {_words(status)}")
    return values[0] if values else None


def _words(status: Any) -> str:
    _, words = _runtime().cudaGetErrorString(status)
    return str(words.decode())


@cache
def _runtime() -> Any:
    return import_module("cuda.bindings.runtime")
