"""Engines on torch: the module from integers to integers, and its devices. Imports torch."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from vs_srcomp.backends.base import MOST_BITS_IN_FLOAT16, Engine, Luma, PlaneFormat, copy_with_edges
from vs_srcomp.backends.device_pipeline import PipelineEngine, recording
from vs_srcomp.backends.torch.onnx_module import OnnxModule
from vs_srcomp.models.graph import residual_of
from vs_srcomp.models.network import Network
from vs_srcomp.processor import processor_class

# Libraries choose their algorithms during the first runs.
RUNS_BEFORE_RECORDING = 3


def make_engine(
    network: Network, plane: PlaneFormat, devices: list[torch.device], dtype: torch.dtype | None, *, record: bool
) -> Engine:
    """Compile ``network``.

    Args:
        network: The network.
        plane: Format of the input planes.
        devices: The processor, or one or several graphics cards.
        dtype: Type of the network's arithmetic; None for the best one, which depends on the network.
        record: Whether to record CUDA graphs.

    Raises:
        vs.Error: The network has an unsupported operator.
        torch.OutOfMemoryError: The device is full.
    """
    bottom, right = plane.padding(network.stride)
    height, width = plane.height + bottom, plane.width + right
    programs = []
    for device in devices:
        module = OnnxModule(network.onnx, dtype or best_dtype(device, network, plane.bits))
        programs.append((IntegerPlanes(module, plane).to(device), device))
    if devices[0].type != "cuda":
        program, device = programs[0]
        return HostEngine(program, device, plane, height, width)
    queues = [partial(CudaQueue, program, device, height, width, network.scale) for program, device in programs]
    return PipelineEngine(queues, plane, record=record)


def best_dtype(device: torch.device, network: Network, bits: int) -> torch.dtype:
    """The fastest arithmetic of ``device`` that keeps the result of ``network`` in ``bits`` within two codes.

    The significant bits of bfloat16, eight, and of float16, eleven, are enough for what is added to a picture. For a
    whole picture, those of float16 are enough up to 10 bits.
    """
    fastest = fastest_dtype(device)
    has_skip = residual_of(onnx.load_model_from_string(network.onnx).graph) is not None
    return fastest if has_skip or (fastest == torch.float16 and bits <= MOST_BITS_IN_FLOAT16) else torch.float32


def fastest_dtype(device: torch.device) -> torch.dtype:
    """The fastest arithmetic of ``device``, for networks that add their result to their input."""
    match device.type:
        case "cuda":
            fast = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (7, 0)
            return torch.float16 if fast else torch.float32
        case "mps":
            return torch.float16
    return torch.bfloat16 if processor_class() in ("AVX512_CORE_BF16", "AVX512_CORE_AMX") else torch.float32


class IntegerPlanes(nn.Module):
    """A network with integer planes as input and output.

    Input (height, width), output (height * scale, width * scale): uint8, or int16 with the bits of uint16, for which
    torch has few operations. The residual is added to the codes themselves, in float32.
    """

    def __init__(self, network: OnnxModule, plane: PlaneFormat) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.plane = plane

    def forward(self, codes: Tensor) -> Tensor:
        """Restore a plane."""
        exact = self._to_float(codes)[None, None]
        output = self.network(exact * (1 / self.plane.code_scale))
        values = output.float() * self.plane.code_scale
        if self.network.has_skip:
            values += exact
        return self._to_codes(values.clamp_(0, self.plane.peak).round_()[0, 0])

    @property
    def codes(self) -> torch.dtype:
        """The type of the planes."""
        return torch.uint8 if self.plane.bits == 8 else torch.int16

    def _to_float(self, codes: Tensor) -> Tensor:
        if self.plane.bits == 16:
            codes = codes.to(torch.int32).bitwise_and_(0xFFFF)
        return codes.to(torch.float32)

    def _to_codes(self, values: Tensor) -> Tensor:
        if self.plane.bits == 16:
            values = values.to(torch.int32)  # Floats beyond the range of int16 would convert to anything.
        return values.to(self.codes)


class HostEngine:
    """A network on the processor, or on a device without streams."""

    def __init__(
        self, program: IntegerPlanes, device: torch.device, plane: PlaneFormat, height: int, width: int
    ) -> None:
        """Run ``program`` on ``device``, with planes padded to ``height`` and ``width``."""
        self._program = program
        self._device = device
        self._plane = plane
        self._size = height, width

    def worker(self) -> "HostWorker":
        """A new worker."""
        return HostWorker(self._program, self._device, np.empty(self._size, self._plane.dtype))


class HostWorker:
    """Runs one frame at a time; torch parallelises it over its thread pool."""

    def __init__(self, program: IntegerPlanes, device: torch.device, buffer: Luma) -> None:
        self._program = program
        self._device = device
        self._buffer = buffer
        self._codes = _tensor_on(buffer, program)

    def restore(self, source: Luma, target: Luma) -> None:
        """Run the network; see ``Worker``."""
        copy_with_edges(source, self._buffer)
        with torch.inference_mode():
            restored = self._program(self._codes.to(self._device)).cpu()
        height, width = target.shape
        np.copyto(target, restored.numpy()[:height, :width].view(target.dtype))


class CudaQueue:
    """A CUDA (or ROCm) stream; see ``DeviceQueue``."""

    def __init__(self, program: IntegerPlanes, device: torch.device, height: int, width: int, scale: int) -> None:
        self._program = program
        self._device = device
        with torch.cuda.device(device):
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            # Blocking synchronisation leaves the core to the rest of the graph.
            self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            self._source = torch.zeros((height, width), dtype=program.codes, pin_memory=True)
            self._target = torch.zeros((height * scale, width * scale), dtype=program.codes, pin_memory=True)
            self._input = torch.empty((height, width), dtype=program.codes, device=device)
        self.source: Luma = self._source.numpy().view(program.plane.dtype)
        self.target: Luma = self._target.numpy().view(program.plane.dtype)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._output: Tensor | None = None

    @contextmanager
    def selected(self) -> Iterator[None]:
        """Make device and stream current in this thread."""
        with torch.inference_mode(), torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            yield

    def upload(self) -> None:
        """Copy ``source`` to the device."""
        self._input.copy_(self._source, non_blocking=True)

    def run(self) -> None:
        """Run the network."""
        if self._graph is not None:
            self._graph.replay()
            return
        with self._exact_arithmetic():
            self._output = self._program(self._input)

    def download(self) -> None:
        """Copy the result to ``target``."""
        assert self._output is not None
        self._target.copy_(self._output, non_blocking=True)

    def wait(self) -> None:
        """Until all is done."""
        self._done.record(self._stream)
        self._done.synchronize()

    def record(self) -> None:
        """Record a CUDA graph."""
        with _cudnn(benchmark=True, dtype=self._program.network.dtype):
            self._input.zero_()
            for _ in range(RUNS_BEFORE_RECORDING):
                self._program(self._input)
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                output = self._program(self._input)
        self._graph, self._output = graph, output

    @contextmanager
    def _exact_arithmetic(self) -> Iterator[None]:
        """Prevent convolutions from rounding float32 to the 10 bits of TF32."""
        if self._program.network.dtype != torch.float32:
            yield
            return
        # The setting is global: the lock keeps it for one thread until that leaves.
        with recording, _cudnn(benchmark=False, dtype=torch.float32):
            yield


def _cudnn(*, benchmark: bool, dtype: torch.dtype) -> AbstractContextManager[object]:
    if not torch.backends.cudnn.is_available():  # type: ignore[no-untyped-call]
        return nullcontext()
    exact = dtype == torch.float32
    return torch.backends.cudnn.flags(enabled=True, benchmark=benchmark, allow_tf32=not exact)


def _tensor_on(buffer: Luma, program: IntegerPlanes) -> Tensor:
    """A tensor in the memory of ``buffer``."""
    return torch.from_numpy(buffer.view(np.uint8 if program.codes == torch.uint8 else np.int16))
