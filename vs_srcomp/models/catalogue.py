"""Descriptors of the models that the package carries: engines/models.json, read once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from vs_srcomp.errors import error
from vs_srcomp.geometry import Ratio, ratio_by_name
from vs_srcomp.models.network import Network

ENGINES = "vs_srcomp.engines"


TIERS = ("quality", "fast", "light")
"""Kinds of models, best first: real time on a graphics card, on a processor, and on a weak one."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network that the package carries, and what is known of it."""

    name: str
    """``srcomp-{tier}-{ratio}-q{Q}``, for example ``srcomp-fast-2by1-q40``; ``-blind`` instead of a level."""
    file: str
    """Name of the ONNX file in the folder of models."""
    sha256: str
    """Of the ONNX file, in lower-case hexadecimal."""
    tier: str
    """One of `TIERS`."""
    ratio: str
    """``"2:1"``, ``"8:5"`` or ``"4:3"``."""
    q: int | None
    """20, 30, 40 or 50, on libaom's quantizer scale of 0 to 63; None: a generalist for every level of its ratio."""
    parameters: int
    """Number of weights and biases."""
    macs_per_pixel: float
    """Multiply-accumulates per output pixel."""
    stride: int
    """Of the network's grid against the picture's: it takes sizes that are multiples of this."""
    receptive_field: int
    """Side in pixels of the square that one output pixel depends on."""
    recipe: str
    """The training recipe, relative to the project's root."""
    gain_db: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Mean gain in Y-PSNR over Lanczos-5 in dB, by name of the test set."""
    ranges: tuple[float, ...] = ()
    """Of activations, for the form in 8-bit integers that is made when it is loaded, as `Network` has them; empty if
    there is none."""


def models() -> tuple[Model, ...]:
    """All models that the package carries."""
    return _catalogue()


def find_model(tier: str, ratio: Ratio, q: int | None) -> Model | None:
    """The model for ``ratio`` and compression level ``q`` (None: any) in ``tier``, or None where there is none.

    Raises:
        vs.Error: There is no such tier.
    """
    if tier not in TIERS:
        raise error(f"there is no model {tier!r}", f"use one of {', '.join(TIERS)}, or the path of an ONNX file")
    for model in models():
        if (model.tier, model.ratio, model.q) == (tier, ratio.name, q):
            return model
    return None


@cache
def load_network(source: Model | Path) -> Network:
    """A network from its file, read once a process.

    Raises:
        vs.Error: The file cannot be read or is no network that can be used, or a model that the package carries is not
            the one it was made with.
    """
    if isinstance(source, Path):
        from vs_srcomp.models.inspection import read_network  # Takes onnx along, which packaged models do not need.

        return read_network(source)
    return Network(
        onnx=_read_sound(source.file, source.sha256),
        sha256=source.sha256,
        ranges=source.ranges or None,
        stride=source.stride,
        receptive_field=source.receptive_field,
    )


def _read_sound(file: str, sha256: str) -> bytes:
    data = _engines().joinpath(file).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise error(f"the model file {file} is damaged", "install vs-srcomp again")
    return data


@cache
def _catalogue() -> tuple[Model, ...]:
    entries = json.loads(_engines().joinpath("models.json").read_text("utf-8"))["models"]
    catalogue = tuple(_model(entry) for entry in entries)
    for model in catalogue:
        ratio_by_name(model.ratio)
    return catalogue


def _model(entry: Mapping[str, Any]) -> Model:
    # Once, the form in integers was a file of its own.
    known = {name: value for name, value in entry.items() if name != "int8"}
    return Model(**known | {"ranges": tuple(entry.get("ranges", ()))})


def _engines() -> Traversable:
    return files(ENGINES)
