# ruff: noqa: N802, N815 - the names are NVIDIA's.
"""Stand-ins for a card: the CUDA runtime and TensorRT on ordinary memory, with ONNX Runtime in place of the card.

They show only that the backend agrees with our reading of NVIDIA's documentation: no card has run it. They execute
calls in order and check that each is allowed at that moment. Signatures are checked elsewhere: test_bindings compares
every call with those of NVIDIA's own bindings.
"""

import ctypes
from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime

PLAN = b"plan:"


class Status(IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorStreamCaptureUnsupported = 900


class Runtime:
    """Of CUDA, with ``cards`` cards."""

    cudaError_t = Status
    cudaStreamNonBlocking, cudaEventDisableTiming, cudaEventBlockingSync, cudaHostAllocPortable = 1, 2, 1, 1
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, cards: int = 1, memory: int = 1 << 30, *, records: bool = True) -> None:
        self.cards = cards
        self.free = memory
        self.held: dict[int, Any] = {}
        """Everything that was made and not given back, by its handle."""
        self.device = 0
        """That of the thread."""
        self.card_of: dict[int, int] = {}
        """The card that each handle was made on."""
        self.waits = 0
        self.launches = 0
        """Of recorded graphs."""
        self.recording: list[Callable[[], None]] | None = None
        self._records = records
        self._last = 1000

    def cudaGetDeviceCount(self) -> tuple[Status, int]:
        return (Status.cudaSuccess if self.cards else Status.cudaErrorInsufficientDriver), self.cards

    def cudaGetDevice(self) -> tuple[Status, int]:
        return Status.cudaSuccess, self.device

    def cudaSetDevice(self, device: int) -> tuple[Status]:
        assert 0 <= device < self.cards
        self.device = device
        return (Status.cudaSuccess,)

    def cudaGetDeviceProperties(self, device: int) -> tuple[Status, Any]:
        return Status.cudaSuccess, SimpleNamespace(name=b"Double\0\0", major=9, minor=0)

    def cudaDriverGetVersion(self) -> tuple[Status, int]:
        return Status.cudaSuccess, 13020

    def cudaGetErrorString(self, status: Status) -> tuple[Status, bytes]:
        words = {2: b"out of memory", 35: b"CUDA driver version is insufficient for CUDA runtime version"}
        return Status.cudaSuccess, words.get(status, b"something else")

    def cudaGetLastError(self) -> tuple[Status]:
        return (Status.cudaSuccess,)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Status, int]:
        return Status.cudaSuccess, self._hold("stream")

    def cudaEventCreateWithFlags(self, flags: int) -> tuple[Status, int]:
        return Status.cudaSuccess, self._hold("event")

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Status, int]:
        return self.cudaMalloc(size)

    def cudaMalloc(self, size: int) -> tuple[Status, int]:
        if size > self.free:
            return Status.cudaErrorMemoryAllocation, 0
        self.free -= size
        memory = (ctypes.c_uint8 * size)()
        address = ctypes.addressof(memory)
        self.held[address] = memory
        self.card_of[address] = self.device
        return Status.cudaSuccess, address

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> tuple[Status]:
        assert self.recording is None
        assert self.held[stream] == "stream"
        assert self.card_of[stream] == self.card_of[target] == self.card_of[source] == self.device
        assert size <= min(ctypes.sizeof(self.held[target]), ctypes.sizeof(self.held[source]))
        ctypes.memmove(target, source, size)
        return (Status.cudaSuccess,)

    def cudaEventRecord(self, event: int, stream: int) -> tuple[Status]:
        assert (self.held[event], self.held[stream]) == ("event", "stream")
        return (Status.cudaSuccess,)

    def cudaEventSynchronize(self, event: int) -> tuple[Status]:
        assert self.recording is None
        self.waits += 1
        return (Status.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[Status]:
        assert self.recording is None
        if not self._records:
            return (Status.cudaErrorStreamCaptureUnsupported,)
        self.recording = []
        return (Status.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Status, int]:
        recorded, self.recording = self.recording, None
        return Status.cudaSuccess, self._hold(recorded)

    def cudaGraphInstantiate(self, graph: int, flags: int) -> tuple[Status, int]:
        return Status.cudaSuccess, self._hold(list(self.held[graph]))

    def cudaGraphLaunch(self, graph: int, stream: int) -> tuple[Status]:
        assert self.held[stream] == "stream"
        assert self.card_of[graph] == self.card_of[stream] == self.device
        self.launches += 1
        for step in self.held[graph]:
            step()
        return (Status.cudaSuccess,)

    def destroy(self, handle: int) -> tuple[Status]:
        gone = self.held.pop(handle)
        if isinstance(gone, ctypes.Array):
            self.free += ctypes.sizeof(gone)
        return (Status.cudaSuccess,)

    cudaStreamDestroy = cudaEventDestroy = cudaFreeHost = cudaFree = cudaGraphDestroy = cudaGraphExecDestroy = destroy

    def _hold(self, what: Any) -> int:
        self._last += 1
        self.held[self._last] = what
        self.card_of[self._last] = self.device
        return self._last


class Logger:
    Severity = IntEnum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO"])

    def log(self, severity: int, msg: str) -> None:
        raise NotImplementedError


class TensorRT:
    """The module: a plan is the ONNX file, and a context a session of ONNX Runtime on the card's memory."""

    __version__ = "11.4.0"
    ILogger = Logger
    BuilderFlag = SimpleNamespace(TF32="TF32")
    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)

    def __init__(self, cuda: Runtime, fails: str = "") -> None:
        self.cuda = cuda
        self.fails = fails
        """What of it goes wrong: "parse", "build", or "context"."""
        self.config = SimpleNamespace()
        """The last one."""

    def Builder(self, logger: Logger) -> Any:
        def create_network(flags: int) -> Any:
            assert flags == 1 << self.NetworkDefinitionCreationFlag.STRONGLY_TYPED
            return SimpleNamespace(onnx=b"")

        def build(definition: Any, config: Any) -> bytes | None:
            if self.fails == "build":
                logger.log(Logger.Severity.ERROR, "[allocate] Cuda Runtime\n(out of memory)")
                return None
            return PLAN + bytes(definition.onnx)

        return SimpleNamespace(
            create_network=create_network, create_builder_config=self._config, build_serialized_network=build
        )

    def _config(self) -> Any:
        flags = {"TF32"}
        self.config = SimpleNamespace(flags=flags, clear_flag=flags.remove)
        return self.config

    def OnnxParser(self, definition: Any, logger: Logger) -> Any:
        def parse(graph: bytes) -> bool:
            onnx.checker.check_model(graph, full_check=True)
            definition.onnx = graph
            return self.fails != "parse"

        problem = SimpleNamespace(desc=lambda: "no importer for Einsum")
        return SimpleNamespace(parse=parse, num_errors=1, get_error=lambda _: problem)

    def Runtime(self, logger: Logger) -> Any:
        def deserialize(built: bytes) -> Any:
            if not built.startswith(PLAN):
                logger.log(Logger.Severity.ERROR, "magic tag does not match")
                return None
            return Engine(self, built.removeprefix(PLAN), logger)

        return SimpleNamespace(deserialize_cuda_engine=deserialize)


class Engine:
    def __init__(self, trt: TensorRT, graph: bytes, logger: Logger) -> None:
        self._trt = trt
        self._logger = logger
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        values = [*self._session.get_inputs(), *self._session.get_outputs()]
        return next(tuple(value.shape) for value in values if value.name == name)

    def create_execution_context(self) -> Any:
        if self._trt.fails == "context":
            self._logger.log(Logger.Severity.ERROR, "Cuda Runtime (out of memory)")
            return None
        addresses: dict[str, int] = {}

        def set_tensor_address(name: str, address: int) -> bool:
            addresses[name] = address
            return ctypes.sizeof(self._trt.cuda.held[address]) >= int(np.prod(self.get_tensor_shape(name)))

        def compute() -> None:
            (given,), (made,) = self._session.get_inputs(), self._session.get_outputs()
            source = self._trt.cuda.held[addresses[given.name]]
            (result,) = self._session.run(None, {given.name: np.frombuffer(source, np.uint8).reshape(given.shape)})
            ctypes.memmove(addresses[made.name], np.ascontiguousarray(result).ctypes.data, result.nbytes)

        def execute_async_v3(stream: int) -> bool:
            if self._trt.cuda.recording is None:
                compute()
            else:
                self._trt.cuda.recording.append(compute)
            return bool(self._trt.cuda.held[stream] == "stream")

        return SimpleNamespace(set_tensor_address=set_tensor_address, execute_async_v3=execute_async_v3)
