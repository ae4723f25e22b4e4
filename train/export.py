"""A trained network of ours as an ONNX file, and its entry in the catalogue."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from train.export_onnx import network_to_onnx
from train.fit import remove_drift
from train.material.coded import LEVEL_BANDS, Example
from train.networks.network import Network
from train.networks.plain import KNOTS, PlainStack
from train.recipe import Recipe
from train.run import Run
from train.trained import network_of
from vs_srcomp.files import write_atomically

# The oldest that has every operator used here in its present form; every backend reads it.
OPSET: Final = 13
IR_VERSION: Final = 8

LICENCE: Final = "photographs: CC0, public domain, CC BY-SA, Unsplash, Pexels"

TIERS: Final = ("fast", "light", "quality")


def export_run(recipe: Recipe, recipe_path: Path, valid: Sequence[Example], runs: Path, engines: Path) -> str:
    """Export the finished run of ``recipe`` to the folder ``engines``; returns a line that says what was written.

    The network's mean residual over the validation pictures is taken out first. The run's log goes to train/runs, so
    that a committed model has its history with it; of a draft only the log is kept.

    Raises:
        ValueError: The run is not finished.
    """
    history = recipe_path.parent.parent / "runs"
    history.mkdir(exist_ok=True)
    run = Run(runs / recipe.name)
    network = network_of(recipe, runs)
    shutil.copyfile(run.log, history / f"{recipe.name}.csv")
    if recipe.is_draft:
        return f"{recipe.name}: a draft, only its log is kept"
    if not isinstance(network, PlainStack):
        return export_system(network, recipe, recipe_path, engines)
    assert recipe.ratio is not None
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
        "recipe": f"train/recipes/{recipe_path.name}",
        "ranges": [],
        "gain_db": {},
        "licence": LICENCE,
    }
    enter(entry, engines / "models.json")
    return f"{recipe.name}: {network.parameter_count} parameters, {network.macs_per_pixel / 1000:.1f} kMAC/pixel"


def export_system(network: Network, recipe: Recipe, recipe_path: Path, engines: Path) -> str:
    """Export the trained ``network`` of a system of the papers, in half precision; returns what `export_run` does."""
    data = network_to_onnx(network, recipe.name)
    file = f"{recipe.name}.onnx"
    write_atomically(engines / file, data)
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
        "receptive_field": network.receptive_field,
        "recipe": f"train/recipes/{recipe_path.parent.name}/{recipe_path.name}",
        "ranges": [],
        "gain_db": {},
        "licence": LICENCE,
    }
    enter(entry, engines / "models.json")
    kilo = network.macs_per_pixel / 1000
    return f"{recipe.name}: {network.parameter_count} parameters, {kilo:.1f} kMAC/pixel, {len(data) / 1e6:.2f} MB"


def enter(entry: dict[str, Any], catalogue: Path) -> None:
    """Put ``entry`` in the place of one of the same name, or beside the others; all in order."""
    entries = json.loads(catalogue.read_text("utf-8"))["models"] if catalogue.exists() else []
    entries = [*(other for other in entries if other["name"] != entry["name"]), entry]
    entries.sort(key=_place)
    write_atomically(catalogue, (json.dumps({"models": entries}, indent=2) + "\n").encode())


def _place(entry: dict[str, Any]) -> tuple[Any, ...]:
    if entry["system"] != "srcomp":
        return True, entry["name"]
    return False, entry["tier"], -Fraction(*map(int, entry["ratio"].split(":"))), entry["look"] != "faithful"


def to_onnx(network: PlainStack, name: str, level: float | None = None) -> bytes:
    """The ONNX file of ``network``: [N, 1, H, W] float32 in and out, H and W divisible by the network's stride.

    A second input ``q``, [N] float32, is the level of each picture. With ``level`` it is a network for that level
    alone: it has no such input, and scales and shifts are folded into the convolutions.

    The graph is written by hand: it is Conv, Relu, DepthToSpace, one Add, and what makes scales and shifts of the
    level. Every runtime has fast code for these, and there is no trace of the framework's version.
    """
    graph = _Graph()
    kernels = [tuple(None if t is None else t.detach().cpu().numpy() for t in pair) for pair in network.kernels()]
    folded = (
        None
        if level is None
        else [
            tuple(t.detach().cpu().numpy().reshape(-1) for t in pair)
            for pair in network.of_level(torch.tensor([float(level)]))
        ]
    )
    tables = graph.level_input(network) if folded is None else []
    last = "degraded"
    for index, (weight, bias) in enumerate(kernels):
        assert weight is not None
        is_head, is_tail = index == 0, index == len(kernels) - 1
        if folded is not None and not is_tail:
            scale, shift = folded[index]
            weight = weight * scale[:, None, None, None]
            bias = shift if bias is None else bias * scale + shift
        step, pad, kernel = (network.stride, network.stride, 3 * network.stride) if is_head else (1, 1, 3)
        inputs = [last, graph.constant(f"conv{index}.weight", weight)]
        if bias is not None:
            inputs.append(graph.constant(f"conv{index}.bias", bias))
        last = graph.node("Conv", inputs, f"conv{index}", kernel_shape=[kernel] * 2, pads=[pad] * 4, strides=[step] * 2)
        if is_tail:
            break
        if folded is None:
            scale_name, shift_name = tables[index]
            last = graph.node("Mul", [last, scale_name], f"conv{index}.scaled")
            last = graph.node("Add", [last, shift_name], f"conv{index}.shifted")
        if network.slope:
            last = graph.node("LeakyRelu", [last], f"conv{index}.active", alpha=network.slope)
        else:
            last = graph.node("Relu", [last], f"conv{index}.active")
    # Depth-column-row order is that of pixel_shuffle.
    last = graph.node("DepthToSpace", [last], "residual", blocksize=network.stride, mode="CRD")
    graph.node("Add", ["degraded", last], "restored")
    taken = [helper.make_tensor_value_info("degraded", TensorProto.FLOAT, ["N", 1, "H", "W"])]
    if level is None:
        taken.append(helper.make_tensor_value_info("q", TensorProto.FLOAT, ["N"]))
    restored = helper.make_tensor_value_info("restored", TensorProto.FLOAT, ["N", 1, "H", "W"])
    model = helper.make_model(
        helper.make_graph(graph.nodes, name, taken, [restored], graph.constants),
        producer_name="vs-srcomp",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


class _Graph:
    """Nodes and constants, in the order of their use."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, values: NDArray[Any] | np.number[Any]) -> str:
        # Limits of Clip are to have no axes, which ascontiguousarray would add.
        self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def level_input(self, network: PlainStack) -> list[tuple[str, str]]:
        """Names of scale and shift of each hidden layer, [N, channels, 1, 1], from the input ``q``."""
        knots = np.array(KNOTS, np.float32)
        limits = [
            self.constant(name, np.float32(value)) for name, value in (("lowest", KNOTS[0]), ("highest", KNOTS[-1]))
        ]
        last = self.node("Clip", ["q", *limits], "q.clipped")
        last = self.node("Reshape", [last, self.constant("column", np.array([-1, 1]))], "q.column")
        last = self.node("Sub", [last, self.constant("knots", knots[None])], "q.away")
        last = self.node("Abs", [last], "q.distance")
        last = self.node("Div", [last, self.constant("knots.step", knots[1] - knots[0])], "q.steps")
        last = self.node("Sub", [self.constant("one", np.float32(1)), last], "q.closeness")
        basis = self.node("Relu", [last], "q.basis")
        gains, shifts = (tensor.detach().cpu().numpy() for tensor in (network.gains, network.shifts))
        count, layers, channels = gains.shape
        # The basis sums to 1, so that what is added to a table is added to what is read from it.
        table = np.stack([1 + gains, shifts], 2).reshape(count, layers * 2 * channels)
        last = self.node("MatMul", [basis, self.constant("table", table)], "q.all")
        names = [f"conv{layer}.{kind}" for layer in range(layers) for kind in ("scale", "shift")]
        sizes = self.constant("channels", np.full(len(names), channels, np.int64))
        flat = [f"{name}.flat" for name in names]
        self.nodes.append(helper.make_node("Split", [last, sizes], flat, axis=1))
        shape = self.constant("per.channel", np.array([-1, channels, 1, 1]))
        made = [self.node("Reshape", [source, shape], name) for source, name in zip(flat, names, strict=True)]
        return list(zip(made[::2], made[1::2], strict=True))
