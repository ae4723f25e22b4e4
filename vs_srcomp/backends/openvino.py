"""OpenVINO on the processor: the default, which needs nothing but the package."""

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.errors import error
from vs_srcomp.models.network import Network

if TYPE_CHECKING:
    import openvino as ov

# Beyond about four cores a network of this size gains more from a second frame than from more threads on one.
CORES_PER_STREAM = 4
# Of a network's grid against the picture's; sizes are padded to a multiple of it.
LARGEST_STRIDE = 16


@dataclass(frozen=True, kw_only=True)
class OpenVINO:
    """Run networks with OpenVINO."""

    precision: Literal["auto", "bf16", "f32"] = "auto"
    """Of the residual path; the skip path is always exact. ``"auto"`` takes bfloat16 where the processor has it."""
    threads: int = 0
    """Inference threads of all streams together; 0 takes every core that the process may use."""
    streams: int = 0
    """Frames in inference at the same time; 0 takes one per four threads."""

    def __post_init__(self) -> None:
        """Refuse values that OpenVINO would report in its own words, much later."""
        if self.precision not in ("auto", "bf16", "f32"):
            raise error(f"precision {self.precision!r} is unknown", 'use precision="auto", "bf16" or "f32"')
        if self.threads < 0 or self.streams < 0:
            raise error("threads and streams cannot be negative", "use 0 for the default")

    @property
    def workers(self) -> int:
        """One more than streams, so that the next frame is copied while the last one is computed."""
        return self._stream_count() + 1

    def compile(self, network: Network, plane: PlaneFormat) -> "OpenVINOEngine":
        """Make the network ready; see ``BackendConfig``."""
        model = _with_integer_planes(_read(network.onnx), plane)
        properties: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": self._stream_count(),
            "INFERENCE_NUM_THREADS": self._thread_count(),
            "INFERENCE_PRECISION_HINT": {"bf16": "bf16", "f32": "f32"}[self._resolved_precision()],
        }
        return OpenVINOEngine(_core().compile_model(model, "CPU", properties), plane)

    def _resolved_precision(self) -> str:
        if self.precision != "auto":
            return self.precision
        return "bf16" if "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"

    def _thread_count(self) -> int:
        return self.threads or len(os.sched_getaffinity(0))

    def _stream_count(self) -> int:
        return self.streams or max(1, self._thread_count() // CORES_PER_STREAM)


class OpenVINOEngine:
    """A compiled network."""

    def __init__(self, compiled: "ov.CompiledModel", plane: PlaneFormat) -> None:
        """Wrap ``compiled``, made for ``plane``."""
        self._compiled = compiled
        self._plane = plane

    def worker(self) -> "OpenVINOWorker":
        """A new inference request."""
        return OpenVINOWorker(self._compiled.create_infer_request(), self._plane)


class OpenVINOWorker:
    """One inference request and its two planes."""

    def __init__(self, request: "ov.InferRequest", plane: PlaneFormat) -> None:
        """Wrap ``request``, made for ``plane``."""
        self._request = request
        self._source = request.get_input_tensor().data.reshape(plane.height, plane.width)
        self._target = request.get_output_tensor().data.reshape(plane.height, plane.width)

    def restore(self, source: Luma, target: Luma) -> None:
        """Run the network; see ``Worker``."""
        np.copyto(self._source, source)
        # Unlike infer(), these two give the interpreter lock free and copy no outputs.
        self._request.start_async()
        self._request.wait()
        np.copyto(target, self._target)


@cache
def _core() -> "ov.Core":
    import openvino as ov

    return ov.Core()


def _read(onnx: bytes) -> "ov.Model":
    try:
        model = _core().read_model(onnx, b"")
    except RuntimeError as reason:
        raise error(
            f"not a network that OpenVINO can read: {str(reason).strip().splitlines()[-1]}",
            "give an ONNX file with one input and one output, [N, 1, H, W]",
        ) from reason
    for kind, ports in (("input", model.inputs), ("output", model.outputs)):
        shape = ports[0].partial_shape
        if len(ports) != 1 or shape.rank.is_dynamic or len(shape) != 4 or shape[1] not in (1, -1):
            raise error(
                f"the network's {kind} is not one luma plane [N, 1, H, W] but {[str(p.partial_shape) for p in ports]}",
                "give a network that takes and gives luma",
            )
    return model


def _with_integer_planes(network: "ov.Model", plane: PlaneFormat) -> "ov.Model":
    """Wrap ``network`` (luma 0..1 in float32) so that it takes and gives integer codes of ``plane``.

    Where the network ends in an addition of its own input (a global skip), the addition is done on the code values
    themselves, so that no reduced precision of the network can touch the skip path.
    """
    import openvino as ov
    from openvino import opset13 as op

    pad_bottom, pad_right = _fit(network, plane)
    codes = op.parameter([1, 1, plane.height, plane.width], ov.Type(plane.dtype), name="codes")
    exact = op.convert(codes, "f32")
    luma = op.multiply(exact, np.float32(1 / plane.code_scale))
    if pad_bottom or pad_right:
        luma = op.pad(luma, np.zeros(4, np.int64), np.array([0, 0, pad_bottom, pad_right]), "edge")

    (parameter,) = network.get_parameters()
    (result,) = network.get_results()
    restored = result.input_value(0)
    residual = _residual_of(restored, parameter)
    for port in parameter.output(0).get_target_inputs():
        port.replace_source_output(luma.output(0))

    output = restored if residual is None else residual
    if pad_bottom or pad_right:
        size, axes = np.array([plane.height, plane.width]), np.array([2, 3])
        output = op.slice(output, np.zeros(2, np.int64), size, np.ones(2, np.int64), axes).output(0)
    values = op.multiply(output, np.float32(plane.code_scale))
    if residual is not None:
        values = op.add(exact, values)
    rounded = op.round(op.clamp(values, 0, plane.peak), "half_away_from_zero")
    return ov.Model([op.convert(rounded, ov.Type(plane.dtype))], [codes], "srcomp")


def _fit(network: "ov.Model", plane: PlaneFormat) -> tuple[int, int]:
    """Rows and columns to add to ``plane`` so that the network, reshaped to it here, keeps the size.

    A network with a stride cannot take every size; the smallest multiple that it can take is found by asking it.
    """
    for multiple in range(1, LARGEST_STRIDE + 1):
        height, width = (-(-size // multiple) * multiple for size in (plane.height, plane.width))
        try:
            network.reshape([1, 1, height, width])
        except RuntimeError:
            continue
        if list(network.output(0).partial_shape) == [1, 1, height, width]:
            return height - plane.height, width - plane.width
    raise error(
        f"the network does not give a plane of the size that it takes ({plane.width}x{plane.height})",
        "give a fully convolutional network with dynamic height and width, [N, 1, H, W] to [N, 1, H, W]",
    )


def _residual_of(restored: "ov.Output", parameter: "ov.Node") -> "ov.Output | None":
    """What is added to the network's input to give its output, or None if the network has another form."""
    addition = restored.get_node()
    if addition.get_type_name() != "Add":
        return None
    inputs = [addition.input_value(index) for index in range(2)]
    from_input = [source.get_node() == parameter for source in inputs]
    return inputs[from_input.index(False)] if from_input.count(True) == 1 else None
