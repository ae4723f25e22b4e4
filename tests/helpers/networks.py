"""Small networks for tests, and their expected results, computed by another library than the one under test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vs_srcomp.backends.base import Engine, Luma, PlaneFormat
from vs_srcomp.geometry import ratio_by_name
from vs_srcomp.models import Model, Network, find_model, models


def one_of_each() -> list[Model]:
    """The package's model for each tier, ratio and look."""
    kinds = dict.fromkeys((model.tier, model.ratio, model.look) for model in models())
    return [find_model(tier, ratio_by_name(ratio), look) for tier, ratio, look in kinds if tier and ratio and look]


def random_network(stride: int = 2, channels: int = 8, seed: int = 1) -> bytes:
    """A network of the form of ours with random weights that change the input a lot."""
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
    """A network of the form of ours with ReLUs and random weights."""
    rng = np.random.default_rng(seed)
    weights, nodes, last = {}, [], "x"
    for index in range(layers):
        inputs, outputs = 1 if index == 0 else channels, stride**2 if index == layers - 1 else channels
        side, step = (3 * stride, stride) if index == 0 else (3, 1)
        spread = (2 / (inputs * side**2)) ** 0.5 * (1 if index < layers - 1 else 0.1)
        weights[f"w{index}"] = rng.normal(0, spread, (outputs, inputs, side, side))
        # The first layer of a trained network hardly depends on the mean of the picture.
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


def random_level_network(
    *, stride: int = 4, channels: int = 8, hidden: int = 3, residual: bool = False, half: bool = False, seed: int = 1
) -> bytes:
    """A network of the form of ours that takes the level, with random weights; each level gives another picture.

    The channels of hidden layers are scaled and shifted by functions of the level that are linear between knots.

    Args:
        stride: Stride of its grid.
        channels: Channels of each hidden layer.
        hidden: Number of hidden layers, the first included.
        residual: Whether each but the first adds its input.
        half: Whether weights are stored in half precision.
        seed: Seed of the weights.
    """
    rng = np.random.default_rng(seed)
    knots = np.linspace(0, 63, 8)
    weights: dict[str, NDArray[Any]] = {
        "knots": knots[None],
        "density": np.array(1 / (knots[1] - knots[0])),
        "one": np.array(1.0),
        "table": rng.normal(0, 0.3, (len(knots), 2 * hidden * channels)) + np.tile([1.0, 0.0], hidden).repeat(channels),
        "w_head": rng.normal(0, 0.3, (channels, 1, 3 * stride, 3 * stride)) / stride,
        "w_tail": rng.normal(0, 0.1, (stride * stride, channels, 3, 3)),
        "b_tail": rng.normal(0, 0.02, stride * stride),
    }
    weights |= {f"w{index}": rng.normal(0, 0.15, (channels, channels, 3, 3)) for index in range(1, hidden)}
    nodes, weights = _stored(weights, half=half)
    parts = [f"{part}{index}" for index in range(hidden) for part in ("scale", "shift")]
    weights |= {
        "column": np.array([-1, 1], np.int64),
        "sizes": np.full(len(parts), channels, np.int64),
        "channel": np.array([-1, channels, 1, 1], np.int64),
    }
    nodes += [
        helper.make_node("Reshape", ["q", "column"], ["q_column"]),
        helper.make_node("Sub", ["q_column", "knots"], ["difference"]),
        helper.make_node("Abs", ["difference"], ["distance"]),
        helper.make_node("Mul", ["distance", "density"], ["steps"]),
        helper.make_node("Sub", ["one", "steps"], ["heights"]),
        helper.make_node("Relu", ["heights"], ["hats"]),
        helper.make_node("MatMul", ["hats", "table"], ["numbers"]),
        helper.make_node("Split", ["numbers", "sizes"], [f"{part}.flat" for part in parts], axis=1),
        *(helper.make_node("Reshape", [f"{part}.flat", "channel"], [part]) for part in parts),
    ]
    last = "x"
    for index in range(hidden):
        how: dict[str, Any] = {"strides": [stride] * 2, "pads": [stride] * 4} if index == 0 else {"pads": [1] * 4}
        nodes += [
            helper.make_node("Conv", [last, f"w{index}" if index else "w_head"], [f"c{index}"], **how),
            helper.make_node("Mul", [f"c{index}", f"scale{index}"], [f"m{index}"]),
            helper.make_node("Add", [f"m{index}", f"shift{index}"], [f"a{index}"]),
            helper.make_node("Relu", [f"a{index}"], [f"r{index}"]),
        ]
        if residual and index:
            nodes.append(helper.make_node("Add", [last, f"r{index}"], [f"s{index}"]))
        last = f"s{index}" if residual and index else f"r{index}"
    nodes += [
        helper.make_node("Conv", [last, "w_tail", "b_tail"], ["t"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["t"], ["r"], blocksize=stride, mode="CRD"),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    return make_onnx(nodes, weights, levels=True)


def random_doubler(channels: int = 8, seed: int = 1, scale: int = 2, *, half: bool = False) -> bytes:
    """A 2x network, or one of another scale, with random weights, which adds to the nearest pixel, as ArtCNN does.

    With ``half``, weights are stored in half precision.
    """
    rng = np.random.default_rng(seed)
    weights: dict[str, NDArray[Any]] = {
        "w0": rng.normal(0, 0.3, (channels, 1, 3, 3)),
        "b0": rng.normal(0, 0.1, channels),
        "w1": rng.normal(0, 0.1, (scale * scale, channels, 5, 5)),
        "b1": rng.normal(0, 0.02, scale * scale),
    }
    casts, weights = _stored(weights, half=half)
    nodes = [
        *casts,
        helper.make_node("Conv", ["x", "w0", "b0"], ["f"], pads=[1] * 4),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("Conv", ["g", "w1", "b1"], ["h"], pads=[2] * 4),
        helper.make_node("Concat", ["x"] * scale**2, ["n"], axis=1),
        helper.make_node("Add", ["n", "h"], ["r"]),
        helper.make_node("DepthToSpace", ["r"], ["y"], blocksize=scale, mode="CRD"),
    ]
    return make_onnx(nodes, weights)


def _stored(weights: Mapping[str, NDArray[Any]], *, half: bool) -> tuple[list[onnx.NodeProto], dict[str, NDArray[Any]]]:
    """``weights`` in the type of the file, and operators that convert them to float32."""
    if not half:
        return [], {name: value.astype(np.float32) for name, value in weights.items()}
    casts = [helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT) for name in weights]
    return casts, {f"{name}.half": value.astype(np.float16) for name, value in weights.items()}


def make_onnx(
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, NDArray[Any]],
    shape: tuple[str | int, ...] = ("N", 1, "H", "W"),
    *,
    levels: bool = False,
) -> bytes:
    """An ONNX file of ``nodes`` from input "x", and "q" if it takes ``levels``, to output "y"."""
    graph = helper.make_graph(
        nodes,
        "test",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, shape),
            *([helper.make_tensor_value_info("q", TensorProto.FLOAT, ["N"])] if levels else []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("N", 1, "H2", "W2"))],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return bytes(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()
    )


def reference(network: bytes, codes: Luma, bits: int, stride: int = 2, scale: int = 1) -> Luma:
    """The result for a plane by ONNX Runtime in float32, with rounding and clamping in float64."""
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


def as_network(
    onnx: bytes, *, stride: int = 2, scale: int = 1, receptive_field: int = 34, takes_level: bool = False
) -> Network:
    """A network for backends; the defaults are those of `random_network`, with a generous receptive field."""
    return Network(
        onnx=onnx,
        sha256=hashlib.sha256(onnx).hexdigest(),
        stride=stride,
        scale=scale,
        receptive_field=receptive_field,
        takes_level=takes_level,
    )


@dataclass(frozen=True, kw_only=True)
class BackendDouble:
    """Base class of test backends."""

    workers: int = 1
    tile: int = 0

    def why_not(self) -> str | None:
        return None

    def identity(self) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True)
class Evaluated(BackendDouble):
    """A backend with the results of `reference`, for tests of code that uses a backend."""

    workers: int = 2
    tile: int = 0

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        return EvaluatedEngine(network, plane)


class EvaluatedEngine:
    """Engine and worker in one, without buffers."""

    def __init__(self, network: Network, plane: PlaneFormat) -> None:
        self.network = network
        self.plane = plane

    def worker(self) -> "EvaluatedEngine":
        return self

    def restore(self, source: Luma, target: Luma) -> None:
        network, plane = self.network, self.plane
        assert source.shape == (plane.height, plane.width)
        target[:] = reference(network.onnx, source, plane.bits, network.stride, network.scale)
