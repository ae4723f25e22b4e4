"""The types that a network's layers run in: the intended ones, and those that OpenVINO really uses.

Without a message, the library falls back to float32 where it has no code for a type. Integer layers with a zero point
were five times slower for this reason.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vs_srcomp.backends.openvino.graph import HEAVY

if TYPE_CHECKING:
    import openvino as ov

_NAMES = {"u8": "int8", "i8": "int8", "bf16": "bf16", "f16": "fp16", "f32": "f32"}

# OpenVINO's names of compiled layers.
_HEAVY_LAYERS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")


def types_meant(graph: "ov.Model", default: str) -> Mapping[str, int]:
    """Multiply-accumulates of ``graph`` by intended type.

    Args:
        graph: A graph of fixed sizes, before it is compiled.
        default: The intended type of float32 layers, as the name of a precision.
    """
    counted = Counter[str]()
    for node in graph.get_ordered_ops():
        if node.get_type_name() in HEAVY:
            kind = "int8" if _sees_integers(node) else _NAMES[node.get_output_element_type(0).to_string()]
            shapes = list(node.get_output_shape(0)), list(node.get_input_shape(1))
            counted[default if kind == "f32" else kind] += _multiplications(*shapes)
    return counted


def types_run(compiled: "ov.CompiledModel") -> Mapping[str, int]:
    """Multiply-accumulates of ``compiled`` by actual type; empty if the device reports none."""
    counted = Counter[str]()
    for node in compiled.get_runtime_model().get_ordered_ops():
        facts = {name: str(value.astype(str)) for name, value in node.get_rt_info().items() if name in _FACTS}
        if facts.get("layerType") in _HEAVY_LAYERS:
            shapes = list(node.get_output_shape(0)), list(node.input_value(1).get_shape())
            counted[_type_of(facts)] += _multiplications(*shapes)
    return counted


def share_text(counts: Mapping[str, int]) -> str:
    """Shares as text: ``"int8 95 %, f32 5 %"``; empty if nothing is known."""
    total = sum(counts.values())
    parts = sorted(counts.items(), key=lambda part: -part[1])
    return ", ".join(f"{kind} {count / total:.0%}".replace("%", " %") for kind, count in parts)


def fallback(meant: Mapping[str, int], run: Mapping[str, int]) -> str:
    """Types whose share is not the intended one; empty if there are none, or if nothing is known."""
    wrong = sorted(kind for kind in {*meant, *run} if run and meant.get(kind, 0) != run.get(kind, 0))
    shares = {kind: [counts.get(kind, 0) / sum(counts.values()) for counts in (run, meant)] for kind in wrong}
    return ", ".join(f"{kind} {100 * is_:.0f} % instead of {100 * was:.0f} %" for kind, (is_, was) in shares.items())


_FACTS = frozenset({"layerType", "primitiveType", "runtimePrecision"})


def _type_of(facts: Mapping[str, str]) -> str:
    # The suffix, as in "brgconv_avx512_amx_I8", is the type of the multiplications, also if the layer converts integers
    # to another type first.
    name = facts["primitiveType"].rpartition("_")[2].lower()
    return _NAMES.get(name, name)


def _sees_integers(node: Any) -> bool:
    """Whether its input is quantised, by one operator or explicitly."""
    source = node.input_value(0).get_node()
    if source.get_type_name() == "Multiply":
        source = source.input_value(0).get_node()
        integers = source.get_type_name() == "Convert" and source.input_value(0).get_element_type().to_string() == "i8"
        return bool(integers)
    return bool(source.get_type_name() == "FakeQuantize")


def _multiplications(output: list[int], weights: list[int]) -> int:
    """Multiply-accumulates of a convolution or a matrix product; ``weights`` have the output's channels first."""
    return math.prod(output) * math.prod(weights) // max(weights[0], 1)
