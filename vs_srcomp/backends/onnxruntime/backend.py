"""ONNX Runtime, with any execution provider of the installed build, in float32."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vs_srcomp.backends.base import CORES_PER_STREAM, Luma, PlaneFormat, check_counts, missing
from vs_srcomp.backends.loading import load_onnxruntime
from vs_srcomp.errors import error, first_line, last_line
from vs_srcomp.log import log_once
from vs_srcomp.models.network import Network
from vs_srcomp.processor import core_count

if TYPE_CHECKING:
    import onnxruntime

INSTALL = 'pip install "vs-srcomp[onnxruntime]"'

PROVIDERS = (
    "CUDAExecutionProvider",
    "ROCMExecutionProvider",
    "MIGraphXExecutionProvider",
    "DmlExecutionProvider",
    "CoreMLExecutionProvider",
    "CPUExecutionProvider",
)
"""The order in which ``provider="auto"`` tries the providers of the installed build."""

_PROCESSOR = "CPUExecutionProvider"
_NUMBERED = frozenset({*PROVIDERS[:4], "TensorrtExecutionProvider"})

# From 0, verbose, to 4, fatal. ONNX Runtime logs to standard error; errors are raised as well.
_ERRORS_ONLY = 3


@dataclass(frozen=True, kw_only=True)
class OnnxRuntime:
    """Run networks with ONNX Runtime.

    Computes in float32; codes are rounded to the nearest, halves to even, and are those of an independent evaluation to
    within 1. Only the processor has been tried.
    """

    provider: str = "auto"
    """ONNX Runtime's name of the provider, such as ``"CUDAExecutionProvider"``; ``"auto"`` takes the first of
    `PROVIDERS` that works. Operators that a provider lacks run on the processor."""
    device: int = 0
    """Number of the device, for providers that can have several."""
    threads: int = 0
    """Inference threads of all streams together, on the processor; 0 takes every core that the process may use."""
    streams: int = 0
    """Frames in inference at the same time; 0 takes one per four threads."""
    tile: int = 0
    """Largest side in pixels of the tiles that a plane is run in, overlap included; 0 runs whole planes."""

    def __post_init__(self) -> None:
        """Refuse values that ONNX Runtime would report in its own words, much later."""
        if not isinstance(self.provider, str):
            raise error(
                f"provider={self.provider!r} is not a name", 'give one such as "CUDAExecutionProvider", or "auto"'
            )
        check_counts(device=self.device, threads=self.threads, streams=self.streams, tile=self.tile)

    @property
    def workers(self) -> int:
        """One more than streams, so that the next frame is copied while the last one is computed."""
        return self._stream_count() + 1

    def why_not(self) -> str | None:
        """Why this cannot run here, in one line; None if the library can be loaded and has the provider."""
        try:
            available = _library().get_available_providers()
        except Exception as reason:  # Whatever a library that is half there raises when it is loaded.
            return first_line(reason)
        if self.provider not in ("auto", *available):
            return f"there is no {self.provider!r}, only {', '.join(available)}"
        return None

    def identity(self) -> Mapping[str, str]:
        """Version, and the provider that is tried first; see ``BackendConfig``."""
        return {"onnxruntime": str(_library().__version__), "provider": next(self._candidates())}

    def with_threads(self, threads: int) -> "OnnxRuntime":
        """The same backend with that many threads."""
        return replace(self, threads=threads)

    def with_streams(self, streams: int) -> "OnnxRuntime":
        """The same backend with that many streams."""
        return replace(self, streams=streams)

    def compile(self, network: Network, plane: PlaneFormat) -> "OnnxRuntimeEngine":
        """Make the network ready; see ``BackendConfig``."""
        from vs_srcomp.backends.integer_graph import with_integer_planes  # Imports onnx.

        candidates = tuple(self._candidates())
        try:
            graph = with_integer_planes(network.onnx, plane, stride=network.stride, scale=network.scale)
        except Exception as reason:  # Of many kinds, for files that are not ONNX or graphs of another form.
            raise error(
                "not a network that ONNX Runtime can read",
                "give an ONNX file with one input and one output, [N, 1, H, W]",
            ) from reason
        for provider in candidates:
            try:
                session = self._session(graph, provider)
                break
            except Exception as reason:
                if provider == candidates[-1]:
                    raise error(
                        f"ONNX Runtime cannot run the network with {provider}: {last_line(reason)}",
                        "use another provider or backend, or run vs-srcomp doctor for the reason",
                    ) from reason
                log_once(f"ONNX Runtime cannot use {provider}: {last_line(reason)}")
        return OnnxRuntimeEngine(session, plane, network.scale, self._turns(provider))

    def _candidates(self) -> Iterator[str]:
        available = _library().get_available_providers()
        if self.provider == "auto":
            yield from (provider for provider in PROVIDERS if provider in available)
        elif self.provider in available:
            yield self.provider
        else:
            raise error(
                f"this build of ONNX Runtime has no {self.provider!r}",
                f"use one of {', '.join(available)}, or install a build that has it, such as onnxruntime-gpu",
            )

    def _session(self, graph: bytes, provider: str) -> "onnxruntime.InferenceSession":
        ort = _library()
        options = ort.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = self._thread_count()
        options.inter_op_num_threads = 1
        # Threads that wait by spinning take the cores from the decoder and the encoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if provider == "DmlExecutionProvider":
            options.enable_mem_pattern = False
        settings: dict[str, Any] = {"device_id": self.device} if provider in _NUMBERED else {}
        if provider == "CUDAExecutionProvider":
            settings["use_tf32"] = 0  # TF32 rounds to ten bits.
        providers = [(provider, settings)] + [(_PROCESSOR, {})] * (provider != _PROCESSOR)
        # Its own fallback prints to standard output.
        session = ort.InferenceSession(graph, options, providers=providers, enable_fallback=0)
        if provider not in session.get_providers():
            raise RuntimeError("it does not start; the reason is on standard error")
        return session

    def _turns(self, provider: str) -> int:
        # A session of DirectML must not run in two threads at a time.
        return 1 if provider == "DmlExecutionProvider" else self._stream_count()

    def _thread_count(self) -> int:
        return self.threads or core_count()

    def _stream_count(self) -> int:
        return self.streams or max(1, self._thread_count() // CORES_PER_STREAM)


class OnnxRuntimeEngine:
    """A session, which runs any number of frames at the same time with the same threads."""

    def __init__(self, session: "onnxruntime.InferenceSession", plane: PlaneFormat, scale: int, streams: int) -> None:
        """Wrap ``session``, made for ``plane`` and a network of ``scale``."""
        self._session = session
        self._plane = plane
        self._scale = scale
        self._turns = threading.BoundedSemaphore(streams)

    def worker(self) -> "OnnxRuntimeWorker":
        """A worker with planes of its own."""
        return OnnxRuntimeWorker(self._session, self._plane, self._scale, self._turns)


class OnnxRuntimeWorker:
    """Two planes that are bound to a session."""

    def __init__(
        self,
        session: "onnxruntime.InferenceSession",
        plane: PlaneFormat,
        scale: int,
        turns: threading.BoundedSemaphore,
    ) -> None:
        """Bind planes to ``session``; ``turns`` limits how many frames are in inference at the same time."""
        self._session = session
        self._turns = turns
        self._source = np.zeros((plane.height, plane.width), plane.dtype)
        self._target = np.zeros((plane.height * scale, plane.width * scale), plane.dtype)
        self._binding = session.io_binding()
        self._bind(self._binding.bind_output, session.get_outputs()[0].name, self._target)

    def restore(self, source: Luma, target: Luma) -> None:
        """Run the network; see ``Worker``."""
        np.copyto(self._source, source)
        # Each time: providers for other devices copy the plane to the device when it is bound.
        self._bind(self._binding.bind_input, self._session.get_inputs()[0].name, self._source)
        with self._turns:
            self._session.run_with_iobinding(self._binding)
        np.copyto(target, self._target)

    def _bind(self, bind: Callable[..., None], name: str, plane: Luma) -> None:
        bind(name, "cpu", 0, plane.dtype.type, [1, 1, *plane.shape], plane.ctypes.data)


@cache
def _library() -> Any:
    try:
        library = load_onnxruntime()
    except ImportError as reason:
        raise missing("ONNX Runtime", reason, INSTALL) from reason
    # Builds for Windows report usage by default.
    library.disable_telemetry_events()
    return library
