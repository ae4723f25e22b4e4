"""OpenVINO: processors, which need nothing but the package, and Intel's graphics and neural processors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import vapoursynth as vs

from vs_srcomp.backends.base import CORES_PER_STREAM, MOST_BITS_IN_FLOAT16, Luma, PlaneFormat, check_counts, missing
from vs_srcomp.backends.loading import load_openvino
from vs_srcomp.backends.openvino.bfloat16 import to_bfloat16
from vs_srcomp.backends.openvino.cells import Cells, in_cells, with_integer_cells
from vs_srcomp.backends.openvino.first_layer import first_layer_in_integers, first_layer_in_parts
from vs_srcomp.backends.openvino.graph import has_skip, read, with_integer_planes
from vs_srcomp.backends.openvino.integers import hidden_convolutions, names_in_integers, with_integers
from vs_srcomp.backends.openvino.parts import Directions, OpenVINOParts, Parts
from vs_srcomp.backends.openvino.types import types_meant, types_run
from vs_srcomp.errors import error, first_line, last_line
from vs_srcomp.models.network import Network
from vs_srcomp.processor import core_count, has_amx, has_avx2, has_bf16, has_vnni

if TYPE_CHECKING:
    import openvino as ov

BFLOAT16_CODES = {8: 1, 10: 4}
"""Largest difference in codes, by bits, between ``"bf16"`` and float32 for this package's networks on pictures."""

# With a second frame in inference, other work of the graph delays only one of them.
_LEAST_STREAMS = 2

# Networks whose ONNX file has fewer bytes run in one stream. While it compiles, OpenVINO sends tasks to its streams
# until each of them has made its graph (CompiledModel in its CPU plugin). With a tiny graph, one stream finishes before
# the next one wakes up; with real-time priority it takes every task, and the loop never ends.
_LEAST_IN_STREAMS = 1 << 14

# Side of a part in multiples of the network's stride.
_ANY_SIZE = 16

# Cached primitives for sizes of parts. oneDNN caches 1024 per process itself, which is as fast; OpenVINO would cache
# 5000 more.
_KEPT_KERNELS = 256

# Virtual devices, which choose among the others or use several.
_VIRTUAL = ("AUTO", "MULTI", "HETERO")

# Most bits of planes for which a precision is enough where it is that of the whole picture: where the network does not
# add its result to its input, in float32.
_MOST_BITS = {"bf16": 0, "fp16": MOST_BITS_IN_FLOAT16}

_CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "fp16": "FP16", "int8": "INT8"}


def remedy() -> str:
    """What to do if OpenVINO cannot be loaded."""
    if _is_taken():
        return 'keep vapoursynth-mlrt-ov in another environment, or pip install "vs-srcomp[onnxruntime]"'
    return "pip install openvino"


@dataclass(frozen=True, kw_only=True)
class OpenVINO:
    """Run networks with OpenVINO.

    Codes are rounded to the nearest, halves away from zero. At ``"f32"`` they are those of an evaluation in float32 to
    within 1; at ``"bf16"`` the networks of this package differ on pictures by at most 1 code in 8 bits and 4 codes in
    10 bits. Only the processor has been tried.
    """

    device: str = "CPU"
    """As OpenVINO names it: ``"CPU"``, ``"GPU"``, ``"GPU.1"``, ``"NPU"``, or ``"AUTO"``, ``"AUTO:GPU,CPU"``."""
    precision: Literal["auto", "int8", "fp16", "bf16", "f32"] = "auto"
    """Of the residual path; the skip path is always exact. ``"auto"`` takes, on a processor: 8-bit integers where
    it multiplies many at a time (AVX2 and all after it) and the network has such a form, as this package's have; else
    bfloat16, or float32 without it. On graphics and neural processors half precision if they have it, and on virtual
    devices what OpenVINO takes. For networks without a skip path, it takes float32 in place of bfloat16, and beyond 10
    bits in place of half precision."""
    threads: int = 0
    """Inference threads of all streams together, on the processor; 0 takes every core that the process may use."""
    streams: int = 0
    """Frames in inference at the same time. 0 takes, on a processor, one for each of up to three threads, two for up to
    eleven, then one per four threads; on other devices one. A single frame is done soonest with one."""
    tile: int = 0
    """Largest side in pixels of the tiles that a plane is run in, overlap included; 0 runs whole planes."""

    def __post_init__(self) -> None:
        """Check values early: OpenVINO's own errors come late and are hard to understand."""
        if not isinstance(self.device, str):
            raise error(f"device={self.device!r} is not the name of a device", 'give one such as "CPU" or "GPU.1"')
        if self.precision not in ("auto", *_CAPABILITIES):
            raise error(
                f"precision {self.precision!r} is unknown", 'use precision="auto", "int8", "fp16", "bf16" or "f32"'
            )
        check_counts(threads=self.threads, streams=self.streams, tile=self.tile)

    @property
    def workers(self) -> int:
        """One more than streams, so that the next frame is copied while the last one is computed."""
        return self._stream_count() + 1

    def why_not(self) -> str | None:
        """Why this cannot run here, in one line; None if the library can be loaded and has the device."""
        try:
            devices = _core().available_devices
        except Exception as reason:  # Whatever a library that is half there raises when it is loaded.
            return f"it cannot be loaded: {first_line(reason)}"
        return None if self._is_among(devices) else f"there is no device {self.device!r}, only {', '.join(devices)}"

    def with_threads(self, threads: int) -> "OpenVINO":
        """The same backend with that many threads."""
        return replace(self, threads=threads)

    def with_streams(self, streams: int) -> "OpenVINO":
        """The same backend with that many streams."""
        return replace(self, streams=streams)

    def compile(self, network: Network, plane: PlaneFormat) -> "OpenVINOEngine":
        """Compile the network; see ``BackendConfig``."""
        compiled, takes_cells, meant = self._compiled(network, plane)
        return OpenVINOEngine(compiled, plane, network.scale, takes_cells=takes_cells, meant=meant)

    def compile_parts(self, network: Network, bits: int, margin: int) -> OpenVINOParts | None:
        """Compile the network for parts of planes; see `vs_srcomp.backends.base.DividingBackend`."""
        if not self._is_processor or self.tile:
            return None
        # Any size that every form of the network takes: the compiled network is dynamic.
        side = max(_ANY_SIZE * network.stride, 2 * margin)
        plane = PlaneFormat(side, side, bits)
        model = read(self._checked_core(), network, plane)
        # On several threads, how the sums of transposed convolutions are divided depends on the size.
        if any(node.get_type_name() == "ConvolutionBackpropData" for node in model.get_ops()):
            return None
        # Without matrix units, OpenVINO rounds to bfloat16 in another way where sizes are dynamic.
        if self._precision_for(network, model, bits) == "bf16" and not has_amx():
            return None

        def compiled(without_borders: Directions) -> "tuple[ov.CompiledModel, bool]":
            return self._compiled(network, plane, parts=Parts(without_borders, margin))[:2]

        return OpenVINOParts(compiled, network.scale, margin)

    def _compiled(
        self, network: Network, plane: PlaneFormat, *, parts: Parts | None = None
    ) -> "tuple[ov.CompiledModel, bool, Mapping[str, int]]":
        """The network compiled for planes of one size, or for parts of any size.

        Returns:
            The compiled network, whether it takes cells, and `types_meant`.

        Raises:
            CannotShrinkError: It cannot run without borders.
        """
        core = self._checked_core()
        model = read(core, network, plane)
        precision = self._precision_for(network, model, plane.bits)
        cells = in_cells(model) if self._is_processor else None
        model = cells or model
        others = self._narrow(model, network, plane, precision)
        properties = self._properties(network, others)
        if parts:
            properties["CPU_RUNTIME_CACHE_CAPACITY"] = _KEPT_KERNELS
        try:
            graph = with_integer_cells(model, plane) if cells else with_integer_planes(model, network, plane)
            if parts:
                parts.prepare(graph, takes_cells=cells is not None)
            compiled = core.compile_model(graph, self.device, properties)
        except RuntimeError as reason:
            raise error(
                f"OpenVINO cannot run the network on {self.device}: {last_line(reason)}",
                "use another device or backend, or run vs-srcomp doctor for the reason",
            ) from reason
        # The work of a dynamic graph is unknown.
        return compiled, cells is not None, {} if parts else types_meant(graph, others or "f32")

    def _narrow(self, model: "ov.Model", network: Network, plane: PlaneFormat, precision: str) -> str:
        """Give layers of ``model`` the types of ``precision``; returns the precision of all that has no type then."""
        if precision == "int8":
            _narrow_to_integers(model, network, plane)
        elif self._is_processor and precision == "bf16":
            # Without matrix units, float32 is as fast for one layer, and OpenVINO would round its sums to bfloat16.
            if has_amx():
                first_layer_in_parts(model, plane)
            to_bfloat16(model)
        else:
            return precision
        return "f32"

    def _properties(self, network: Network, precision: str) -> dict[str, Any]:
        """OpenVINO's properties for ``network``; if ``precision`` is empty, the device chooses it."""
        properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if precision:
            properties["INFERENCE_PRECISION_HINT"] = precision.replace("fp16", "f16")
        if self._is_processor:
            properties["INFERENCE_NUM_THREADS"] = self._thread_count()
            # A thread that is bound to a core waits while a decoder or an encoder runs there, even if others are idle.
            properties["ENABLE_CPU_PINNING"] = False
        if self._is_processor or self.streams:
            properties["NUM_STREAMS"] = 1 if len(network.onnx) < _LEAST_IN_STREAMS else self._stream_count()
        return properties

    def identity(self) -> Mapping[str, str]:
        """Version, device and precision; see ``BackendConfig``."""
        core = self._checked_core()
        devices = core.available_devices if self._is_virtual else [self.device]
        precision = self._resolved_precision(has_int8=True) or "auto"
        # The weights differ: see `has_vnni`.
        integers = {"vnni": "yes" if has_vnni() else "no"} if precision == "int8" and self._is_processor else {}
        return integers | {
            "openvino": load_openvino().get_version(),
            "device": ", ".join(core.get_property(device, "FULL_DEVICE_NAME") for device in devices),
            "units": " ".join(
                sorted({unit for device in devices for unit in core.get_property(device, "OPTIMIZATION_CAPABILITIES")})
            ),
            "precision": precision,
        }

    @property
    def _is_processor(self) -> bool:
        return self.device == "CPU"

    @property
    def _is_virtual(self) -> bool:
        return self.device.partition(":")[0] in _VIRTUAL

    def _is_among(self, devices: list[str]) -> bool:
        if self._is_virtual:
            _, _, parts = self.device.partition(":")
            return all(_is_listed(part.partition("(")[0].lstrip("-"), devices) for part in parts.split(",") if part)
        return _is_listed(self.device, devices)

    def _checked_core(self) -> "ov.Core":
        try:
            core = _core()
        except ImportError as reason:
            raise missing("OpenVINO", reason, remedy()) from reason
        if not self._is_among(core.available_devices):
            raise error(
                f"OpenVINO has no device {self.device!r} here", f"use one of {', '.join(core.available_devices)}, AUTO"
            )
        return core

    def _precision_for(self, network: Network, model: "ov.Model", bits: int) -> str:
        """`_resolved_precision` for a network, which was read as ``model``, and planes of ``bits``."""
        lowest = self._resolved_precision(has_int8=network.ranges is not None)
        if self.precision != "auto" or lowest not in _MOST_BITS or has_skip(model):
            return lowest
        return lowest if bits <= _MOST_BITS[lowest] else "f32"

    def _resolved_precision(self, *, has_int8: bool) -> str:
        """The precision by name, empty to let OpenVINO choose; depends on whether the network has an 8-bit form."""
        if self.precision == "int8" and not has_int8:
            raise error(
                "the network has no form in 8-bit integers", 'use precision="auto", or one of this package\'s networks'
            )
        if self._is_virtual:
            return "" if self.precision == "auto" else self.precision
        capabilities = set(self._checked_core().get_property(self.device, "OPTIMIZATION_CAPABILITIES"))
        if self._is_processor and not has_bf16():
            capabilities.discard("BF16")
        if self.precision == "auto":
            if self._is_processor and has_int8 and has_avx2():
                return "int8"
            better = "bf16" if self._is_processor else "fp16"
            return better if _CAPABILITIES[better] in capabilities else "f32"
        if _CAPABILITIES[self.precision] not in capabilities:
            has = [f'"{name}"' for name in _CAPABILITIES if _CAPABILITIES[name] in capabilities and name != "int8"]
            raise error(
                f"{self.device} does not compute in {self.precision}", f'use precision="auto" or {" or ".join(has)}'
            )
        return self.precision

    def _thread_count(self) -> int:
        return self.threads or core_count()

    def _stream_count(self) -> int:
        if self.streams or not self._is_processor:
            return self.streams or 1
        threads = self._thread_count()
        # Three threads cannot be shared by two.
        return threads if threads < CORES_PER_STREAM else max(_LEAST_STREAMS, threads // CORES_PER_STREAM)


class OpenVINOEngine:
    """A compiled network."""

    def __init__(
        self,
        compiled: "ov.CompiledModel",
        plane: PlaneFormat,
        scale: int,
        *,
        takes_cells: bool,
        meant: Mapping[str, int],
    ) -> None:
        """Wrap ``compiled``, made for ``plane`` and a network of ``scale``, on planes or cells."""
        self.meant = meant
        """Multiply-accumulates by intended type."""
        self._compiled = compiled
        self._plane = plane
        self._scale = scale
        self._takes_cells = takes_cells

    def run(self) -> Mapping[str, int]:
        """Multiply-accumulates by actual type, as the library reports it."""
        return types_run(self._compiled)

    def worker(self) -> "OpenVINOWorker":
        """A new inference request."""
        request, plane = self._compiled.create_infer_request(), self._plane
        given, taken = request.get_input_tensor(0), request.get_output_tensor()
        if self._takes_cells:
            request.set_input_tensor(1, given)
            source, target = (Cells(tensor.data, plane.width, plane.height) for tensor in (given, taken))
            return OpenVINOWorker(request, source.gather, target.spread)
        planes = given.data.reshape(plane.height, plane.width)
        restored = taken.data.reshape(plane.height * self._scale, plane.width * self._scale)
        return OpenVINOWorker(
            request, lambda source: np.copyto(planes, source), lambda target: np.copyto(target, restored)
        )


class OpenVINOWorker:
    """One inference request with its buffers."""

    def __init__(self, request: "ov.InferRequest", give: Callable[[Luma], None], take: Callable[[Luma], None]) -> None:
        """Wrap ``request``: ``give`` copies a plane into its input, ``take`` copies one from its output."""
        self.request = request
        self.give = give
        self.take = take

    def restore(self, source: Luma, target: Luma) -> None:
        """Run the network; see ``Worker``."""
        self.give(source)
        # Unlike infer(), these two release the interpreter lock and copy no outputs.
        self.request.start_async()
        self.request.wait()
        self.take(target)


def _narrow_to_integers(model: "ov.Model", network: Network, plane: PlaneFormat) -> None:
    """Run layers of ``model`` in 8-bit integers, and others in bfloat16 if the processor is faster with that."""
    ranges, pairs_overflow = network.ranges or (), not has_vnni()
    layers = len(hidden_convolutions(model))
    if layers != len(ranges):
        raise error(
            f"the network has no form in 8-bit integers: {len(ranges)} ranges do not fit its {layers} layers",
            "measure its ranges again, or use another precision",
        )
    in_integers = names_in_integers(model, ranges)
    if has_amx():
        to_bfloat16(model, in_integers)
    with_integers(model, ranges, pairs_overflow=pairs_overflow)
    if plane.bits == 8:
        first_layer_in_integers(model, pairs_overflow=pairs_overflow)
    elif has_amx():
        # Without matrix units, float32 is as fast for the one layer that is left.
        first_layer_in_parts(model, plane)


def _is_listed(device: str, devices: list[str]) -> bool:
    """OpenVINO numbers several devices of a kind; the name alone means the first."""
    return device in devices or f"{device}.0" in devices


@cache
def _core() -> "ov.Core":
    try:
        core: ov.Core = load_openvino().Core()
    except ImportError as reason:
        if _is_taken():
            raise ImportError("vapoursynth-mlrt-ov has brought an OpenVINO of its own into this process") from reason
        raise
    return core


def _is_taken() -> bool:
    """Whether vs-mlrt's plugin is loaded, which brings its own OpenVINO under the same library name."""
    return hasattr(vs.core, "ov")
