"""Descriptors of the installed models, from engines/models.json, which is read once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vs_srcomp.errors import error
from vs_srcomp.geometry import Ratio, ratio_by_name
from vs_srcomp.models.level import at_level
from vs_srcomp.models.network import Network
from vs_srcomp.named_files import file_named

ENGINES = "vs_srcomp.engines"

# Networks of users' own files in memory.
_KEPT = 16

SYSTEM = "srcomp"
"""The system whose models are chosen by tier, ratio and look. Other systems' models are chosen by name."""


TIERS = ("quality", "fast", "light")
"""Sizes of models, best first: for graphics cards or offline work, the default, and for weak processors."""

LOOKS = ("faithful", "crisp")
"""Training objectives: least error, or what people prefer to look at."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """An installed model."""

    name: str
    """``srcomp-{tier}-{ratio}`` or ``srcomp-{tier}-{ratio}-crisp``; other systems have their own names."""
    file: str
    """Name of the ONNX file in the folder of models."""
    sha256: str
    """SHA-256 of the ONNX file, in lower-case hexadecimal."""
    system: str
    """``"srcomp"``, or the name of another system, such as ``"espcn"``."""
    tier: str | None = None
    """``"light"``, ``"fast"`` or ``"quality"``; None for other systems."""
    ratio: str | None = None
    """``"2:1"``, ``"8:5"`` or ``"4:3"``; None for other systems."""
    scale: int = 1
    """Output size over input size: 1 for networks that run on the upscaled picture."""
    look: str | None = None
    """``"faithful"`` or ``"crisp"``; None for other systems."""
    levels: tuple[float, float] | None
    """Lowest and highest compression level of the training, on libaom's quantizer scale of 0 to 63: the network takes
    the level as its second input. None: it knows no levels."""
    parameters: int
    """Number of weights and biases."""
    macs_per_pixel: float
    """Multiply-accumulates per output pixel."""
    stride: int
    """Step of the network's grid in pixels. Planes of other sizes are padded to multiples of it, and the result is
    cropped."""
    receptive_field: int | None
    """Side in pixels of the square that one output pixel depends on; None if unbounded."""
    recipe: str
    """The training recipe, relative to the project's root."""
    ranges: tuple[float, ...] = ()
    """Largest magnitude of the input of each convolution but the first, for the 8-bit form, which is made at load; 0
    for a layer that is not quantised, empty if there is no 8-bit form."""
    gain_db: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Mean gain in Y-PSNR over Lanczos-5 in dB, by name of the test set."""
    licence: str = ""
    """Licence of the training material."""

    @property
    def takes_level(self) -> bool:
        """Whether it takes the level as its second input."""
        return self.levels is not None


def models() -> tuple[Model, ...]:
    """All installed models, in the order of models.json: by tier, ratio and look, other systems last."""
    return _catalogue()


def find_model(tier: str, ratio: Ratio, look: str = "faithful") -> Model:
    """The model of ``tier`` for ``ratio`` and ``look``.

    Raises:
        vs.Error: There is no such tier, look or model; the last line lists the alternatives.
    """
    if tier not in TIERS:
        raise unknown_model(tier)
    of_tier = [model for model in models() if model.tier == tier]
    if look not in {model.look for model in of_tier}:
        looks = sorted({str(model.look) for model in of_tier}, key=LOOKS.index)
        what = f"there is no {tier} model with the look {look!r}"
        raise error(what, f"use the look {_one_of(looks)}{or_model(look)}")
    for model in of_tier:
        if (model.ratio, model.look) == (ratio.name, look):
            return model
    ratios = sorted({str(model.ratio) for model in of_tier if model.look == look})
    raise error(
        f"there is no {look} {tier} model for the ratio {ratio.name}",
        f"use {_one_of(ratios)}, or the look faithful",
    )


def or_model(look: str) -> str:
    """The end of an advice: the tiers that have ``look``, if there are any."""
    having = {model.tier for model in models() if model.look == look}
    tiers = [tier for tier in TIERS if tier in having]
    return f", or the model {_one_of(tiers)}" if tiers else ""


def find_named(name: str) -> Model:
    """The model of another system called ``name``.

    Raises:
        vs.Error: There is no such model; the last line lists the alternatives.
    """
    for model in models():
        if model.name == name and model.system != SYSTEM:
            return model
    raise unknown_model(name)


def unknown_model(name: str) -> vs.Error:
    """An error that lists the models."""
    others = [model.name for model in models() if model.system != SYSTEM]
    return error(
        f"there is no model {name!r}", f"use one of {', '.join([*TIERS, *others])}, or the path of an ONNX file"
    )


def load_network(source: Model | Path) -> Network:
    """A network from its file, which is read once per process, and again when it has changed.

    Raises:
        vs.Error: The file cannot be read, or is not a usable network, or an installed model has another SHA-256 than
            its descriptor.
    """
    if isinstance(source, Model):
        return _installed(source)
    file = Path(file_named(str(source))).absolute()
    status = file.stat() if file.exists() else None
    return _read(file, (status.st_size, status.st_mtime_ns) if status else None)


@lru_cache(maxsize=_KEPT)
def _read(file: Path, state: tuple[int, int] | None) -> Network:
    """The network in ``file``, whose ``state`` tells one version of it from another."""
    from vs_srcomp.models.inspection import read_network  # Imports onnx, which installed models do not need.

    return read_network(file)


@cache
def _installed(source: Model) -> Network:
    data = _read_sound(source.file, source.sha256)
    return Network(
        # Half precision of weights is only for storage.
        onnx=data if source.takes_level else at_level(data, 0),
        sha256=source.sha256,
        ranges=source.ranges or None,
        stride=source.stride,
        scale=source.scale,
        receptive_field=source.receptive_field,
        takes_level=source.takes_level,
        name=source.name,
    )


def _one_of(names: list[str]) -> str:
    return " or ".join(names)


def _read_sound(file: str, sha256: str) -> bytes:
    data = _engines().joinpath(file).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise error(f"the model file {file} is damaged", "install vs-srcomp again")
    return data


@cache
def _catalogue() -> tuple[Model, ...]:
    described = _engines().joinpath("models.json").read_bytes()
    try:
        catalogue = tuple(_model(entry) for entry in json.loads(described.decode())["models"])
        for model in catalogue:
            if model.ratio is not None:
                ratio_by_name(model.ratio)
    except (LookupError, TypeError, ValueError) as reason:
        raise error(f"models.json is damaged, or of another version: {reason}", "install vs-srcomp again") from reason
    return catalogue


def _model(entry: dict[str, Any]) -> Model:
    levels, ranges = entry["levels"], entry["ranges"]
    return Model(**entry | {"levels": levels and tuple(levels), "ranges": tuple(ranges)})


def _engines() -> Traversable:
    return files(ENGINES)
