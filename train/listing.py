"""Lists of the parts that recipes can name."""

import inspect
from collections.abc import Iterator
from typing import Any

from train.degradations import DEGRADATIONS
from train.material import MATERIALS
from train.metrics import METRICS
from train.networks import NETWORKS
from train.objectives import OBJECTIVES
from train.registry import Registry

KINDS: dict[str, Registry[Any]] = {
    "networks": NETWORKS,
    "degradations": DEGRADATIONS,
    "objectives": OBJECTIVES,
    "materials": MATERIALS,
    "metrics": METRICS,
}


def list_parts(kind: str) -> Iterator[str]:
    """Yield lines for each part: name, description, parameters, paper; for networks also the cost of the defaults."""
    for name, part in KINDS[kind].items():
        summary = (inspect.getdoc(part) or "").split("\n\n")[0].replace("\n", " ")
        yield f"{name}: {summary}"
        if kind == "networks":
            network = part()
            kilo = f"{network.macs_per_pixel / 1000:.1f}"
            yield f"    {network.parameter_count:,} parameters, {kilo} kMAC per output pixel, scale {network.scale}"
        if parameters := _parameters(part):
            yield f"    takes {parameters}"
        if paper := getattr(part, "paper", ""):
            yield f"    {paper}"


def _parameters(part: type) -> str:
    """Names and defaults of the constructor's parameters."""
    found = []
    for parameter in inspect.signature(part).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            given = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
            found.append(f"{parameter.name}{given}")
    return ", ".join(found)
