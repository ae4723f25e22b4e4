"""TensorRT: NVIDIA graphics cards, with networks compiled for one card and one size of planes.

Input and output of the compiled graph are the bytes of integer planes (see ``integer_graph``), so that only TensorRT
and the CUDA runtime are needed to run it.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Literal

import numpy as np

from vs_srcomp.backends.base import CODES, RESTORED, PlaneFormat, check_counts
from vs_srcomp.backends.device_pipeline import STREAMS_PER_DEVICE, PipelineEngine
from vs_srcomp.backends.loading import missing_package
from vs_srcomp.backends.tensorrt import cuda_queue
from vs_srcomp.backends.tensorrt.cuda_queue import CudaQueue
from vs_srcomp.backends.tensorrt.log import log_of
from vs_srcomp.errors import check_flags, error
from vs_srcomp.models.network import Network

INSTALL = 'pip install "vs-srcomp[tensorrt]"'

_PACKAGES = "tensorrt", "onnx", "cuda.bindings.runtime"

_ANOTHER = "use another backend, such as OpenVINO or OnnxRuntime"

# The library has one log, and a build measures speeds, which another build at the same time would distort.
_turn = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class TensorRT:
    """Run networks with TensorRT 10 or 11. No card has run it yet."""

    device: int | Sequence[int] = 0
    """Number of the card; a list of cards of the same model takes frames in turn."""
    precision: Literal["fp16", "f32"] = "fp16"
    """Of the residual path; the skip path is always exact."""
    streams: int = 0
    """Frames in progress on each card; 0 takes three."""
    cuda_graph: bool = True
    """Record what a frame does on the card once and replay it: less work for the processor."""
    tile: int = 0
    """Largest side of the tiles that a plane is divided into, in pixels of the network's input; 0 takes whole planes
    and makes tiles only where the card's memory is too small."""

    def __post_init__(self) -> None:
        """Refuse values that TensorRT would report in its own words, much later."""
        if self.precision not in ("fp16", "f32"):
            raise error(f"precision {self.precision!r} is unknown", 'use precision="fp16" or "f32"')
        check_counts(streams=self.streams, tile=self.tile)
        check_flags(cuda_graph=self.cuda_graph)
        if isinstance(self.device, Iterable) and not isinstance(self.device, str):
            object.__setattr__(self, "device", tuple(self.device))
        devices = self.device if isinstance(self.device, tuple) else (self.device,)
        if not devices or not all(type(device) is int and device >= 0 for device in devices):
            raise error(f"device={self.device!r} is not a card", "use the number of a card, or a list such as [0, 1]")

    @property
    def workers(self) -> int:
        """One a stream."""
        return (self.streams or STREAMS_PER_DEVICE) * len(self._devices)

    def why_not(self) -> str | None:
        """See ``BackendConfig``."""
        return missing_package(*_PACKAGES) or self._missing_card()

    def identity(self) -> Mapping[str, str]:
        """Facts that a plan depends on; see ``BackendConfig``."""
        trt = self._library()
        cards = {cuda_queue.card(device) for device in self._devices}
        if len(cards) > 1:
            raise error(
                f"the cards are not of one model: {', '.join(sorted(card.name for card in cards))}",
                "name cards of one model",
            )
        (one,) = cards
        return {
            "tensorrt": str(trt.__version__),
            "device": one.name,
            "compute_capability": one.capability,
            # Of CUDA: new drivers of the same run what older ones did.
            "driver": cuda_queue.driver_version(),
            "precision": self.precision,
        }

    def compile(self, network: Network, plane: PlaneFormat) -> PipelineEngine:
        """Compile the network; see ``BackendConfig``."""
        return self.load(self.build(network, plane), plane)

    def build(self, network: Network, plane: PlaneFormat) -> bytes:
        """Compile to a plan; see ``StoringBackend``."""
        trt = self._library()
        from vs_srcomp.backends.integer_graph import with_integer_planes  # Imports onnx, like the next one.
        from vs_srcomp.models.half import to_half

        graph = to_half(network.onnx) if self.precision == "fp16" else network.onnx
        bottom, right = plane.padding(network.stride)
        height, width = plane.height + bottom, plane.width + right
        graph = with_integer_planes(graph, PlaneFormat(width, height, plane.bits), scale=network.scale, as_bytes=True)
        with _turn, cuda_queue.selected(self._devices[0]), log_of(trt).listening() as log:
            log.write(f"TensorRT {trt.__version__} compiles a network for {width}x{height}: once, and it takes minutes")
            builder = trt.Builder(log.logger)
            # The types of the graph are those of the arithmetic. Its sizes are fixed: there is nothing to profile for.
            definition = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
            parser = trt.OnnxParser(definition, log.logger)
            if not parser.parse(graph):
                problems = [parser.get_error(index).desc() for index in range(parser.num_errors)]
                raise error(f"TensorRT cannot read the network: {'; '.join(problems) or log.errors}", _ANOTHER)
            config = builder.create_builder_config()
            config.max_aux_streams = 0  # A chain of layers has no parallel branches.
            if self.precision == "f32":
                config.clear_flag(trt.BuilderFlag.TF32)
            plan = builder.build_serialized_network(definition, config)
            if plan is None:
                raise error(f"TensorRT cannot compile the network: {log.errors}", _ANOTHER)
            return bytes(plan)

    def load(self, built: bytes, plane: PlaneFormat) -> PipelineEngine:
        """Load a plan; see ``StoringBackend``."""
        trt = self._library()
        plans = [_Plan.loaded(trt, built, device, plane) for device in self._devices]
        return PipelineEngine([loaded.queue for loaded in plans], plane, record=self.cuda_graph)

    @property
    def _devices(self) -> tuple[int, ...]:
        return (self.device,) if isinstance(self.device, int) else tuple(self.device)

    def _library(self) -> Any:
        """The module. Without a card it must not be used: deserializing would end the process."""
        missing = missing_package(*_PACKAGES)
        if missing:
            raise error(missing, INSTALL)
        missing = self._missing_card()
        if missing:
            raise error(missing, "use another backend, or run vs-srcomp doctor for the reason")
        return import_module("tensorrt")

    def _missing_card(self) -> str | None:
        return next((reason for device in self._devices if (reason := cuda_queue.why_no_card(device))), None)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A plan in the memory of one card."""

    trt: Any
    runtime: Any
    """Must live as long as the engine."""
    engine: Any
    device: int
    plane: PlaneFormat
    source: tuple[int, int]
    """Height and width of its input."""
    target: tuple[int, int]
    """Height and width of its output."""

    @classmethod
    def loaded(cls, trt: Any, built: bytes, device: int, plane: PlaneFormat) -> "_Plan":
        """Load a plan.

        Raises:
            RuntimeError: TensorRT refuses it, or it is for other planes.
        """
        with _turn, cuda_queue.selected(device), log_of(trt).listening() as log:
            runtime = trt.Runtime(log.logger)
            engine = runtime.deserialize_cuda_engine(built)
            if engine is None:
                raise RuntimeError(f"TensorRT refuses the plan: {log.errors}")
        _, _, height, row = tuple(engine.get_tensor_shape(CODES))
        _, _, target_height, target_width, *_ = tuple(engine.get_tensor_shape(RESTORED))
        width = row // np.dtype(plane.dtype).itemsize
        if height < plane.height or width < plane.width:
            raise RuntimeError(f"the plan is for planes of {width}x{height}")
        return cls(
            trt=trt,
            runtime=runtime,
            engine=engine,
            device=device,
            plane=plane,
            source=(height, width),
            target=(target_height, target_width),
        )

    def queue(self) -> CudaQueue:
        """A queue with a context of its own.

        Raises:
            vs.Error: There is not enough memory.
        """
        with _turn, cuda_queue.selected(self.device), log_of(self.trt).listening() as log:
            context = self.engine.create_execution_context()
            if context is None:
                raise error(f"TensorRT cannot run the network: {log.errors}", _ANOTHER)
        return CudaQueue(self.device, self.source, self.target, self.plane.dtype, partial(self._bind, context))

    def _bind(self, context: Any, source: int, target: int) -> Callable[[int], None]:
        for name, address in ((CODES, source), (RESTORED, target)):
            if not context.set_tensor_address(name, address):
                raise error(f"TensorRT does not take memory for {name}: {log_of(self.trt).errors}", _ANOTHER)

        def launch(stream: int) -> None:
            if not context.execute_async_v3(stream):
                raise error(f"TensorRT cannot run the network: {log_of(self.trt).errors}", _ANOTHER)

        return launch
