"""Values of the argument ``model``: a tier, the name of another system's model, or the path of an ONNX file."""

import os
from pathlib import Path

from vs_srcomp.errors import error
from vs_srcomp.geometry import MAX_QUANTIZER, Ratio
from vs_srcomp.models.catalogue import TIERS, Model, find_model, find_named, load_network, or_model
from vs_srcomp.models.level import network_at
from vs_srcomp.models.network import Network

type ModelName = str | os.PathLike[str]
"""A tier, the name of another system's model, or the path of an ONNX file: a str that ends in .onnx, or path-like."""


def find(model: ModelName, ratio: Ratio, look: str = "faithful") -> Model | Path:
    """The descriptor of ``model``, or its path.

    Args:
        model: See `ModelName`.
        ratio: For tiers: the ratio.
        look: For tiers: the look. Others have only the faithful one.

    Raises:
        vs.Error: There is no such model; the last line lists the alternatives.
    """
    if is_file(model):
        found: Model | Path = Path(model)
    elif model in TIERS:
        return find_model(str(model), ratio, look)
    else:
        found = find_named(str(model))
    if look != "faithful":
        raise error(f"{found.name} has no look {look!r}", f"use the look faithful{or_model(look)}")
    return found


def network_for(model: ModelName, ratio: Ratio, q: float, look: str = "faithful") -> tuple[str, Network]:
    """Name and network for frames of the level ``q``, or the nearest level that the model was trained for.

    Raises:
        vs.Error: The errors of `find` and `load_network`.
    """
    found = find(model, ratio, look)
    lowest, highest = (found.levels if isinstance(found, Model) else None) or (0, MAX_QUANTIZER)
    return found.name, network_at(load_network(found), float(min(max(q, lowest), highest)))


def scale_of(model: ModelName) -> int:
    """Output size over input size of ``model``: 1 for tiers. Raises the errors of `find` and `load_network`."""
    if model in TIERS:
        return 1
    return load_network(Path(model)).scale if is_file(model) else find_named(str(model)).scale


def depends_on_level(model: ModelName | Network) -> bool:
    """Whether ``model`` gives another result for another level. Raises the errors of `find` and `load_network`."""
    if isinstance(model, Network):
        network = model
    elif model in TIERS:
        return True
    else:
        network = load_network(Path(model) if is_file(model) else find_named(str(model)))
    return network_at(network, 0.0).sha256 != network_at(network, float(MAX_QUANTIZER)).sha256


def is_file(model: ModelName) -> bool:
    """Whether ``model`` is a path, and no name."""
    return isinstance(model, os.PathLike) or model.lower().endswith(".onnx") or os.sep in model
