"""A trained network as ONNX files, one of plain operators and one in integers, and its entry in the catalogue."""

import hashlib
import json
import shutil
from fractions import Fraction
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from train.crops import PlanePair
from train.equalize import equalized
from train.fit import remove_drift
from train.networks.plain import NEGATIVE_SLOPE, PlainStack
from train.quantize import quantize
from train.recipe import Recipe
from train.run import Run
from train.trained import load_trained
from vs_srcomp.files import write_atomically
from vs_srcomp.geometry import MAX_QUANTIZER

# The oldest that has every operator used here in its present form; every backend reads it.
OPSET = 13
IR_VERSION = 8


def export_run(recipe: Recipe, recipe_path: Path, valid: list[PlanePair], runs: Path, engines: Path) -> str:
    """Export the finished run of ``recipe`` to the folder ``engines``; returns a line that says what was written.

    The network's mean residual over the validation pictures is taken out first.

    The run's log and curves go to train/runs beside the recipes, so that a committed model has its history with it. Of
    a draft only these are kept.
    """
    history = recipe_path.parent.parent / "runs"
    history.mkdir(exist_ok=True)
    run = Run(runs / recipe.name)
    for file in (run.log, run.curves):
        shutil.copyfile(file, history / f"{recipe.name}{file.suffix}")
    if recipe.draft:
        return f"{recipe.name}: a draft, only its log and curves are kept"
    network = load_trained(recipe.name, runs)
    remove_drift(network, valid, torch.device("cpu"))
    data = to_onnx(network, recipe.name)
    int8 = quantize(to_onnx(equalized(network, valid), recipe.name), valid, recipe.int8_range)
    write_atomically(engines / f"{recipe.name}.onnx", data)
    write_atomically(engines / f"{recipe.name}.int8.onnx", int8)

    catalogue = engines / "models.json"
    entries = json.loads(catalogue.read_text("utf-8"))["models"] if catalogue.exists() else []
    entries = [entry for entry in entries if entry["name"] != recipe.name]
    entries.append(
        {
            "name": recipe.name,
            "file": f"{recipe.name}.onnx",
            "sha256": hashlib.sha256(data).hexdigest(),
            "tier": recipe.tier,
            "ratio": recipe.ratio.name,
            "q": recipe.q,
            "parameters": network.parameter_count,
            "macs_per_pixel": network.macs_per_pixel,
            "stride": network.stride,
            "receptive_field": network.receptive_field,
            "recipe": f"train/recipes/{recipe_path.name}",
            "gain_db": {},
            "int8": {"file": f"{recipe.name}.int8.onnx", "sha256": hashlib.sha256(int8).hexdigest(), "loss_db": {}},
        }
    )
    entries.sort(
        key=lambda entry: (entry["tier"], -Fraction(*map(int, entry["ratio"].split(":"))), entry["q"] or MAX_QUANTIZER)
    )
    write_atomically(catalogue, (json.dumps({"models": entries}, indent=2) + "\n").encode())
    return f"{recipe.name}: {network.parameter_count} parameters, {network.macs_per_pixel / 1000:.1f} kMAC/pixel"


def to_onnx(network: PlainStack, name: str) -> bytes:
    """The ONNX file of ``network``: [N, 1, H, W] float32 in and out, H and W divisible by the network's stride.

    The graph is written by hand: it is Conv, LeakyRelu, DepthToSpace and one Add, which every runtime has fast code
    for, and it has no trace of the framework's version.
    """
    stride = network.stride
    weights = network.effective_weights()
    initializers, nodes, last = [], [], "degraded"
    for index, (weight, bias) in enumerate(weights):
        is_head, is_tail = index == 0, index == len(weights) - 1
        for kind, tensor in (("weight", weight), ("bias", bias)):
            array = tensor.detach().cpu().contiguous().numpy()
            initializers.append(numpy_helper.from_array(array, f"conv{index}.{kind}"))
        step, pad, kernel = (stride, stride, 3 * stride) if is_head else (1, 1, 3)
        nodes.append(
            helper.make_node(
                "Conv",
                [last, f"conv{index}.weight", f"conv{index}.bias"],
                [f"conv{index}"],
                kernel_shape=[kernel] * 2,
                pads=[pad] * 4,
                strides=[step] * 2,
            )
        )
        last = f"conv{index}"
        if not is_tail:
            nodes.append(helper.make_node("LeakyRelu", [last], [f"{last}.active"], alpha=NEGATIVE_SLOPE))
            last = f"{last}.active"
    # Depth-column-row order is that of pixel_shuffle.
    nodes.append(helper.make_node("DepthToSpace", [last], ["residual"], blocksize=stride, mode="CRD"))
    nodes.append(helper.make_node("Add", ["degraded", "residual"], ["restored"]))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("degraded", TensorProto.FLOAT, ["N", 1, "H", "W"])],
        [helper.make_tensor_value_info("restored", TensorProto.FLOAT, ["N", 1, "H", "W"])],
        initializers,
    )
    model = helper.make_model(
        graph,
        producer_name="vs-srcomp",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
