"""Small networks for tests, and what they must give, evaluated by another library than the one under test."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.models import Network


def random_network(stride: int = 2, channels: int = 8, seed: int = 1) -> bytes:
    """A network with the form of ours and random weights, large enough that the result differs from the input a lot."""
    rng = np.random.default_rng(seed)
    weights = {
        "w0": rng.normal(0, 0.3, (channels, 1, 3 * stride, 3 * stride)),
        "b0": rng.normal(0, 0.1, channels),
        "w1": rng.normal(0, 0.1, (stride * stride, channels, 3, 3)),
        "b1": rng.normal(0, 0.02, stride * stride),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["f"], strides=[stride] * 2, pads=[stride] * 4),
        helper.make_node("LeakyRelu", ["f"], ["g"], alpha=0.1),
        helper.make_node("Conv", ["g", "w1", "b1"], ["h"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["h"], ["r"], blocksize=stride, mode="CRD"),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    return make_onnx(nodes, {name: value.astype(np.float32) for name, value in weights.items()})


def random_stack(stride: int = 4, channels: int = 16, layers: int = 4, seed: int = 1) -> bytes:
    """A network with the form of ours, ReLUs and random weights, whose ranges are those of :func:`stack_ranges`."""
    rng = np.random.default_rng(seed)
    weights, nodes, last = {}, [], "x"
    for index in range(layers):
        inputs, outputs = 1 if index == 0 else channels, stride**2 if index == layers - 1 else channels
        side, step = (3 * stride, stride) if index == 0 else (3, 1)
        spread = (2 / (inputs * side**2)) ** 0.5 * (1 if index < layers - 1 else 0.1)
        weights[f"w{index}"] = rng.normal(0, spread, (outputs, inputs, side, side))
        # A picture has a mean, which the first layer of a trained network hardly sees.
        weights[f"w{index}"] -= weights[f"w{index}"].mean((1, 2, 3), keepdims=True) if index == 0 else 0
        weights[f"b{index}"] = rng.normal(0, 0.02, outputs)
        names = [last, f"w{index}", f"b{index}"]
        nodes.append(helper.make_node("Conv", names, [f"c{index}"], strides=[step] * 2, pads=[step] * 4))
        last = f"c{index}"
        if index < layers - 1:
            nodes.append(helper.make_node("Relu", [last], [f"a{index}"]))
            last = f"a{index}"
    nodes += [
        helper.make_node("DepthToSpace", [last], ["r"], blocksize=stride, mode="CRD"),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    return make_onnx(nodes, {name: value.astype(np.float32) for name, value in weights.items()})


def random_doubler(channels: int = 8, seed: int = 1) -> bytes:
    """A 2x network with random weights that adds to the nearest pixel, with the form of ArtCNN's."""
    rng = np.random.default_rng(seed)
    weights = {
        "w0": rng.normal(0, 0.3, (channels, 1, 3, 3)),
        "b0": rng.normal(0, 0.1, channels),
        "w1": rng.normal(0, 0.1, (4, channels, 5, 5)),
        "b1": rng.normal(0, 0.02, 4),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["f"], pads=[1] * 4),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("Conv", ["g", "w1", "b1"], ["h"], pads=[2] * 4),
        helper.make_node("Concat", ["x", "x", "x", "x"], ["n"], axis=1),
        helper.make_node("Add", ["n", "h"], ["r"]),
        helper.make_node("DepthToSpace", ["r"], ["y"], blocksize=2, mode="CRD"),
    ]
    return make_onnx(nodes, {name: value.astype(np.float32) for name, value in weights.items()})


def make_onnx(
    nodes: list[onnx.NodeProto],
    weights: dict[str, NDArray[np.float32]],
    shape: tuple[str | int, ...] = ("N", 1, "H", "W"),
) -> bytes:
    """An ONNX file of ``nodes`` from input "x" to output "y"."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("N", 1, "H2", "W2"))],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return bytes(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()
    )


def reference(network: bytes, codes: Luma, bits: int, stride: int = 2, scale: int = 1) -> Luma:
    """What the network makes of a plane, by ONNX Runtime in float32, with rounding and clamping in float64."""
    height, width = codes.shape
    white = 255.0 * 2 ** (bits - 8)
    padded = np.pad(codes, ((0, -height % stride), (0, -width % stride)), mode="edge")
    luma = (padded / white).astype(np.float32)[None, None]
    session = _session(network)
    restored = session.run(None, {session.get_inputs()[0].name: luma})[0][0, 0, : scale * height, : scale * width]
    values = np.clip(np.rint(restored.astype(np.float64) * white), 0, 2**bits - 1)
    restored_codes: Luma = values.astype(codes.dtype)
    return restored_codes


@lru_cache(maxsize=8)
def _session(network: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def as_network(onnx: bytes, *, stride: int = 2, scale: int = 1, receptive_field: int = 34) -> Network:
    """What backends take; the defaults are those of `random_network`, with a generous receptive field."""
    sha256 = hashlib.sha256(onnx).hexdigest()
    return Network(onnx=onnx, sha256=sha256, stride=stride, scale=scale, receptive_field=receptive_field)


@dataclass(frozen=True)
class Evaluated:
    """A backend that gives what `reference` gives, for tests of what stands around a backend."""

    workers: int = 2

    def compile(self, network: Network, plane: PlaneFormat) -> "EvaluatedEngine":
        return EvaluatedEngine(network, plane)


class EvaluatedEngine:
    """Engine and worker in one, as it has no buffers."""

    def __init__(self, network: Network, plane: PlaneFormat) -> None:
        self.network = network
        self.plane = plane

    def worker(self) -> "EvaluatedEngine":
        return self

    def restore(self, source: Luma, target: Luma) -> None:
        network, plane = self.network, self.plane
        assert source.shape == (plane.height, plane.width)
        target[:] = reference(network.onnx, source, plane.bits, network.stride, network.scale)
