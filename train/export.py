"""Export of a trained network of this project as an ONNX file with its catalogue entry."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from train.export_onnx import network_to_onnx
from train.material.coded import LEVEL_BANDS, Example
from train.networks.interpolated import InterpolatedStack
from train.networks.network import Network
from train.networks.plain import KNOTS, PlainStack
from train.recipe import Recipe
from train.run import Run
from train.trained import network_of
from train.validation import remove_drift
from vs_srcomp.files import write_atomically
from vs_srcomp.models.inspection import read_network
from vs_srcomp.models.level import at_level

# The oldest version with the current form of all operators used here; every backend reads it.
OPSET: Final = 13
IR_VERSION: Final = 8

_LICENCE: Final = "photographs: CC0, public domain, CC BY-SA, Unsplash, Pexels"

type LevelNetwork = PlainStack | InterpolatedStack
"""A network of this project, which takes the level."""

FLOAT: Final = TensorProto.FLOAT

TIERS: Final = ("fast", "light", "quality")


def export_run(recipe: Recipe, recipe_path: Path, valid: Sequence[Example], runs: Path, engines: Path) -> str:
    """Export the finished run of ``recipe`` to the folder ``engines``; returns a line about the files written.

    The network's mean residual over the validation set is subtracted first. The run's log is copied to train/runs, so
    that it is committed with the model; of a draft only the log is kept. A run without steps has no log, and its start
    is exported unchanged.

    Raises:
        ValueError: The run is not finished, or the package cannot play such a network.
    """
    network = network_of(recipe, runs)
    read_entries(engines / "models.json")  # reports damage before anything is written
    if network.channels != 1:
        what = f"{recipe.name} takes {network.channels} channels"
        raise ValueError(f"{what}: upscale plays networks for luma alone (channels = 1); others are evaluated in train")
    if isinstance(network, PlainStack | InterpolatedStack) and recipe.ratio is None:
        raise ValueError(f"{recipe.name} is not exported: networks that take a level are for pictures coded with AV1")
    if recipe.steps:
        history = history_of(recipe_path)
        history.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Run(runs / recipe.name).log, history / f"{recipe.name}.csv")
    if recipe.is_draft:
        return f"{recipe.name}: a draft, only its log is kept"
    if not isinstance(network, PlainStack | InterpolatedStack):
        return export_system(network, recipe, recipe_path, engines)
    assert recipe.ratio is not None
    if recipe.steps:
        remove_drift(network, valid, torch.device("cpu"))
    data = to_onnx(network, recipe.name)
    file = f"{recipe.name}.onnx"
    write_atomically(engines / file, data)
    entry: dict[str, Any] = {
        "name": recipe.name,
        "file": file,
        "sha256": hashlib.sha256(data).hexdigest(),
        "system": "srcomp",
        "tier": recipe.tier,
        "ratio": recipe.ratio.name,
        "scale": 1,
        "look": recipe.look,
        "levels": [min(low for low, _ in LEVEL_BANDS), max(high for _, high in LEVEL_BANDS)],
        "parameters": network.parameter_count,
        "macs_per_pixel": network.macs_per_pixel,
        "stride": network.stride,
        "receptive_field": network.receptive_field,
        "recipe": _shown(recipe_path),
        "ranges": [],
        "gain_db": {},
        "licence": _licence_of(recipe_path),
    }
    enter(entry, engines / "models.json")
    return f"{recipe.name}: {network.parameter_count} parameters, {network.macs_per_pixel / 1000:.1f} kMAC/pixel"


def history_of(recipe_path: Path) -> Path:
    """Folder of the logs for ``recipe_path``: ``train/runs/systems`` for recipes in ``train/recipes/systems``.

    Logs of a recipe from elsewhere go beside it.
    """
    parts = list(recipe_path.parent.parts)
    if "recipes" in parts:
        parts[len(parts) - 1 - parts[::-1].index("recipes")] = "runs"
    return Path(*parts)


def _licence_of(recipe_path: Path) -> str:
    """That of the photographs of this project's recipes; for recipes from elsewhere, nothing is known."""
    return _LICENCE if _shown(recipe_path).startswith("train/recipes/") else "that of your photographs"


def _shown(recipe_path: Path) -> str:
    """The path of a recipe in the repository; the name alone of one from elsewhere."""
    parts = recipe_path.absolute().parts
    return "/".join(parts[len(parts) - parts[::-1].index("recipes") - 2 :]) if "recipes" in parts else recipe_path.name


def export_system(network: Network, recipe: Recipe, recipe_path: Path, engines: Path) -> str:
    """Export the trained ``network`` of a paper's system in half precision; returns the line of `export_run`."""
    data = network_to_onnx(network, recipe.name)
    file = f"{recipe.name}.onnx"
    write_atomically(engines / file, data)
    # The receptive field of the exported graph; that of the class is an upper bound.
    field = read_network(engines / file).receptive_field
    entry = {
        "name": recipe.name,
        "file": file,
        "sha256": hashlib.sha256(data).hexdigest(),
        "system": recipe.network["name"],
        "scale": network.scale,
        "levels": None,
        "parameters": network.parameter_count,
        "macs_per_pixel": network.macs_per_pixel,
        "stride": network.stride,
        "receptive_field": field,
        "recipe": _shown(recipe_path),
        "ranges": [],
        "gain_db": {},
        "licence": _licence_of(recipe_path),
    }
    enter(entry, engines / "models.json")
    kilo = network.macs_per_pixel / 1000
    return f"{recipe.name}: {network.parameter_count} parameters, {kilo:.1f} kMAC/pixel, {len(data) / 1e6:.2f} MB"


def export_levels(recipe: Recipe, engines: Path, levels: Sequence[float], out: Path) -> Iterator[Path]:
    """Write the exported model of ``recipe`` to ``out`` as one plain network for each of ``levels``.

    ``NAME-q20.onnx`` takes only a picture, like the networks of the original scheme, and has the result of playback at
    that level: scales, shifts and interpolation are folded into the convolutions.

    Raises:
        ValueError: The model is not exported, or takes no level.
    """
    file = engines / f"{recipe.name}.onnx"
    if recipe.degradation["name"] != "av1":
        raise ValueError(f"{recipe.name} knows no levels")
    if not file.exists():
        raise ValueError(f"{file} is not there: export {recipe.name} first")
    onnx_file = file.read_bytes()
    out.mkdir(parents=True, exist_ok=True)
    for level in levels:
        target = out / f"{recipe.name}-q{level:g}.onnx"
        write_atomically(target, at_level(onnx_file, level))
        yield target


def enter(entry: dict[str, Any], catalogue: Path) -> None:
    """Add ``entry`` to the catalogue, or replace the entry of the same name; entries stay sorted."""
    entries = read_entries(catalogue)
    entries = [*(other for other in entries if other["name"] != entry["name"]), entry]
    entries.sort(key=_place)
    write_atomically(catalogue, (json.dumps({"models": entries}, indent=2) + "\n").encode())


def read_entries(catalogue: Path) -> list[dict[str, Any]]:
    """The entries of a catalogue, none if it does not exist; ValueError if it is damaged."""
    try:
        entries: list[dict[str, Any]] = json.loads(catalogue.read_text("utf-8"))["models"] if catalogue.exists() else []
    except (ValueError, KeyError, TypeError) as reason:
        raise ValueError(f"{catalogue} is not a catalogue of models ({reason!r}); restore it, or remove it") from None
    return entries


def _place(entry: dict[str, Any]) -> tuple[Any, ...]:
    if entry["system"] != "srcomp":
        return True, entry["name"]
    return False, entry["tier"] or "", -Fraction(*map(int, entry["ratio"].split(":"))), entry["look"] != "faithful"


def to_onnx(network: LevelNetwork, name: str) -> bytes:
    """The ONNX file of ``network``: [N, 1, H, W] float32 in and out, H and W divisible by the network's stride.

    A second input ``q``, float32, is the level: [N], one per picture, for a `PlainStack`; [1], one for all, for an
    `InterpolatedStack`, whose kernels depend on it.

    The graph is built by hand from Conv, Relu, DepthToSpace, one Add, and operators for the level. Every runtime has
    fast code for these, and the graph does not depend on the framework's version.
    """
    graph = _Graph()
    count: str | int
    if isinstance(network, PlainStack):
        layers, count = graph.scaled_layers(network), "N"
    else:
        layers, count = graph.interpolated_layers(network), 1
    last = "degraded"
    for index, layer in enumerate(layers):
        step, pad, kernel = (network.stride, network.stride, 3 * network.stride) if index == 0 else (1, 1, 3)
        inputs = [last, *filter(None, (layer.weight, layer.bias))]
        last = graph.node("Conv", inputs, f"conv{index}", kernel_shape=[kernel] * 2, pads=[pad] * 4, strides=[step] * 2)
        if index == len(layers) - 1:
            break
        if layer.scale and layer.shift:
            last = graph.node("Mul", [last, layer.scale], f"conv{index}.scaled")
            last = graph.node("Add", [last, layer.shift], f"conv{index}.shifted")
        if network.slope:
            last = graph.node("LeakyRelu", [last], f"conv{index}.active", alpha=network.slope)
        else:
            last = graph.node("Relu", [last], f"conv{index}.active")
    # CRD mode has the order of pixel_shuffle.
    last = graph.node("DepthToSpace", [last], "residual", blocksize=network.stride, mode="CRD")
    graph.node("Add", ["degraded", last], "restored")
    taken = [
        helper.make_tensor_value_info("degraded", TensorProto.FLOAT, ["N", 1, "H", "W"]),
        helper.make_tensor_value_info("q", TensorProto.FLOAT, [count]),
    ]
    restored = helper.make_tensor_value_info("restored", TensorProto.FLOAT, ["N", 1, "H", "W"])
    model = helper.make_model(
        helper.make_graph(graph.nodes, name, taken, [restored], graph.constants),
        producer_name="vs-srcomp",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


@dataclass(frozen=True)
class _Layer:
    """Names of the inputs of a convolution and its activation."""

    weight: str
    bias: str | None = None
    scale: str | None = None
    shift: str | None = None


class _Graph:
    """Nodes and constants, in order of use."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, values: NDArray[Any] | np.number[Any]) -> str:
        # Limits of Clip must be scalars; ascontiguousarray would add an axis.
        self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def kernel(self, index: int, weight: Tensor, bias: Tensor | None) -> tuple[str, str | None]:
        """Names of weight and bias of convolution ``index``."""
        named = self.constant(f"conv{index}.weight", weight.detach().cpu().numpy())
        return named, None if bias is None else self.constant(f"conv{index}.bias", bias.detach().cpu().numpy())

    def scaled_layers(self, network: PlainStack) -> list[_Layer]:
        """Convolutions whose channels are scaled and shifted by functions of the input ``q``."""
        tables = [*self._tables(network), (None, None)]
        kernels = [self.kernel(index, *pair) for index, pair in enumerate(network.kernels())]
        return [_Layer(*kernel, *table) for kernel, table in zip(kernels, tables, strict=True)]

    def interpolated_layers(self, network: InterpolatedStack) -> list[_Layer]:
        """Convolutions whose kernels and biases depend on the input ``q``: tables with a row per level.

        Kernel tables are in half precision, which changes the output by less than a hundredth of a code.
        """
        basis = self._basis(network.levels)
        layers = []
        for index, (weights, biases) in enumerate(network.kernels()):
            stored = weights.detach().cpu().flatten(1).half().numpy()
            table = self.node("Cast", [self.constant(f"conv{index}.weights", stored)], f"conv{index}.table", to=FLOAT)
            flat = self.node("MatMul", [basis, table], f"conv{index}.weight.flat")
            shape = self.constant(f"conv{index}.shape", np.array(weights.shape[1:], np.int64))
            weight = self.node("Reshape", [flat, shape], f"conv{index}.weight")
            stored = biases.detach().cpu().numpy()
            flat = self.node("MatMul", [basis, self.constant(f"conv{index}.biases", stored)], f"conv{index}.bias.flat")
            shape = self.constant(f"conv{index}.channels", np.array([-1], np.int64))
            layers.append(_Layer(weight, self.node("Reshape", [flat, shape], f"conv{index}.bias")))
        return layers

    def _basis(self, levels: Sequence[float]) -> str:
        """Weights of linear interpolation between ``levels``, [N, levels], from the input ``q``."""
        knots = np.array(levels, np.float32)
        limits = [
            self.constant(name, np.float32(value)) for name, value in (("lowest", levels[0]), ("highest", levels[-1]))
        ]
        last = self.node("Clip", ["q", *limits], "q.clipped")
        last = self.node("Reshape", [last, self.constant("column", np.array([-1, 1]))], "q.column")
        last = self.node("Sub", [last, self.constant("knots", knots[None])], "q.away")
        last = self.node("Abs", [last], "q.distance")
        last = self.node("Div", [last, self.constant("knots.step", knots[1] - knots[0])], "q.steps")
        last = self.node("Sub", [self.constant("one", np.float32(1)), last], "q.closeness")
        return self.node("Relu", [last], "q.basis")

    def _tables(self, network: PlainStack) -> list[tuple[str, str]]:
        """Names of scale and shift of each hidden layer, [N, channels, 1, 1]."""
        basis = self._basis(KNOTS)
        gains, shifts = (tensor.detach().cpu().numpy() for tensor in (network.gains, network.shifts))
        count, layers, channels = gains.shape
        # The basis sums to 1, so an offset of the table is an offset of the result.
        table = np.stack([1 + gains, shifts], 2).reshape(count, layers * 2 * channels)
        last = self.node("MatMul", [basis, self.constant("table", table)], "q.all")
        names = [f"conv{layer}.{kind}" for layer in range(layers) for kind in ("scale", "shift")]
        sizes = self.constant("channels", np.full(len(names), channels, np.int64))
        flat = [f"{name}.flat" for name in names]
        self.nodes.append(helper.make_node("Split", [last, sizes], flat, axis=1))
        shape = self.constant("per.channel", np.array([-1, channels, 1, 1]))
        made = [self.node("Reshape", [source, shape], name) for source, name in zip(flat, names, strict=True)]
        return list(zip(made[::2], made[1::2], strict=True))
