"""A recipe: everything that determines one model, as a small TOML file."""

import dataclasses
import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from train.degradations import DEGRADATIONS
from train.material import MATERIALS
from train.material.crops import PHASES
from train.material.material import Material
from train.networks import NETWORKS
from train.networks.network import Network
from train.objectives import OBJECTIVES
from train.objectives.objective import Objective
from vs_srcomp.geometry import Ratio, ratio_by_name

OPTIMIZERS = ("adam", "muon")

type Part = Mapping[str, Any]
"""A table of the file: ``name``, and the part's own parameters."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one model is trained. Every field is a key of the TOML file; those with defaults are optional."""

    name: str
    """Name of the run and of the model: ``"srcomp-fast-2by1"``. A name with ``-draft`` marks a run that is only the
    start of others. Its model is not exported."""
    network: Part
    degradation: Part
    """Table of the degradation. ``av1`` needs a ``ratio``, and codes every picture at several levels."""
    material: Part = field(default_factory=lambda: {"name": "photographs"})
    objective: Part = field(default_factory=lambda: {"name": "faithful"})
    steps: int
    """Optimiser steps; with 0, the model is its ``start``."""
    batch: int
    """Crops per step, over all processes."""
    crop: int = 96
    """Side of a crop in pixels of the original; for AV1 a multiple of the network's stride and of 8."""
    learning_rate: float = 1e-3
    """Peak learning rate, reached after ``warmup`` steps; then it falls to zero as a half cosine."""
    optimizer: str = "muon"
    """``"adam"``, or ``"muon"``, which needs a third of the steps."""
    warmup: int = 200
    scales: tuple[float, ...] = (1.0,)
    """Scales of pictures before the degradation. AV1 always uses a third of them at 0.6, too."""
    copies: int = 1
    """Degraded versions of each picture, if the degradation is random."""
    clips: bool = True
    """Whether to train on clips made of the pictures, too, coded with inter prediction; AV1 only."""
    valid_share: float = 0.1
    """Share of the pictures for validation."""
    start: str | None = None
    """Name of a finished run with the initial weights."""
    teacher: str | None = None
    """Name of a finished run whose output is part of the target (distillation)."""
    teacher_share: float = 0.5
    """Share of the teacher in the target; the rest is the original."""
    tier: str | None = None
    """``"light"``, ``"fast"`` or ``"quality"``, for models that `upscale` chooses by tier."""
    look: str = "faithful"
    """``"faithful"`` or ``"crisp"``, for a tier's models."""
    seed: int = 1

    @property
    def is_draft(self) -> bool:
        """Whether the model is only the start of others."""
        return "-draft" in self.name

    @property
    def ratio(self) -> Ratio | None:
        """The ratio of an AV1 model; None for models of other degradations."""
        return ratio_by_name(self.degradation["ratio"]) if self.degradation["name"] == "av1" else None

    @property
    def digest(self) -> str:
        """Digest of all fields: a run is resumed only with its own recipe."""
        return hashlib.sha256(repr(sorted(dataclasses.asdict(self).items())).encode()).hexdigest()[:16]

    def make_network(self) -> Network:
        """The network, with random weights."""
        return NETWORKS.make(**self.network)

    def make_material(self) -> Material:
        """The material."""
        return MATERIALS.make(**self.material)

    def make_objective(self) -> Objective:
        """The objective."""
        return OBJECTIVES.make(**self.objective)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; the ValueError for an invalid one describes its first mistake."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text())
        known = {entry.name: entry for entry in dataclasses.fields(Recipe)}
        if unknown := table.keys() - known.keys():
            raise ValueError(f"there is no key {', '.join(sorted(unknown))}")
        needed = {name for name, entry in known.items() if entry.default is entry.default_factory}
        if missing := needed - table.keys():
            raise ValueError(f"{', '.join(sorted(missing))} is missing")
        if "scales" in table:
            table["scales"] = tuple(table["scales"])
        recipe = Recipe(**table)
        _check(recipe)
    except (tomllib.TOMLDecodeError, TypeError, ValueError, OSError) as reason:
        keys = ", ".join(entry.name for entry in dataclasses.fields(Recipe))
        raise ValueError(f"{path}: {reason} (a recipe's keys are {keys})") from reason
    return recipe


def in_order(recipes: Iterable[tuple[Path, Recipe]]) -> list[tuple[Path, Recipe]]:
    """Recipes in order of their dependencies (``start``, ``teacher``); ValueError if they are circular."""
    by_name = {recipe.name: (path, recipe) for path, recipe in recipes}
    needs = {name: {recipe.start, recipe.teacher} & by_name.keys() for name, (_, recipe) in by_name.items()}
    try:
        return [by_name[name] for name in TopologicalSorter(needs).static_order() if name is not None]
    except CycleError as reason:
        raise ValueError(f"these wait for each other: {', '.join(reason.args[1])}") from reason


def _check_scale(recipe: Recipe, network: Network) -> None:
    """Check that the network's scale fits the degradation, without importing optional packages."""
    ratio, enlarged = recipe.degradation.get("ratio", 2), recipe.degradation.get("enlarged", False)
    if isinstance(ratio, int) and network.scale != (1 if enlarged else ratio):
        way = "and enlarged again" if enlarged else "and not enlarged"
        raise ValueError(f"a network of scale {network.scale} does not fit pictures made {ratio} times smaller {way}")
    if recipe.crop % network.scale:
        raise ValueError(f"crop {recipe.crop} is not a multiple of the scale {network.scale}")


def _check(recipe: Recipe) -> None:
    for part in (recipe.network, recipe.degradation, recipe.material, recipe.objective):
        if not isinstance(part, Mapping) or "name" not in part:
            raise ValueError("network, degradation, material and objective are tables with a name")
    if recipe.steps < 0 or (recipe.steps == 0 and recipe.start is None):
        raise ValueError(f"{recipe.steps} steps: a recipe has some, or a start that it keeps")
    network = recipe.make_network()
    if recipe.degradation["name"] == "av1":
        if "ratio" not in recipe.degradation:
            raise ValueError('the degradation av1 needs a ratio: "2:1", "8:5" or "4:3"')
        assert recipe.ratio is not None
        if network.scale != 1:
            raise ValueError(f"a network of scale {network.scale} does not fit the ratio {recipe.ratio.name}")
        if recipe.crop % network.stride or recipe.crop % PHASES:
            raise ValueError(f"crop {recipe.crop} is not a multiple of stride {network.stride} and of {PHASES}")
    else:
        _check_scale(recipe, network)
    recipe.make_material()
    for registry, part in ((DEGRADATIONS, recipe.degradation), (OBJECTIVES, recipe.objective)):
        if part["name"] not in registry:
            registry.part(str(part["name"]))  # raises the error with the list of names
    if recipe.optimizer not in OPTIMIZERS:
        raise ValueError(f"there is no optimizer {recipe.optimizer!r}: {', '.join(OPTIMIZERS)}")
    if not recipe.scales or not all(0 < scale <= 1 for scale in recipe.scales):
        raise ValueError(f"scales {list(recipe.scales)} are not between 0 and 1")
    if not 0 <= recipe.teacher_share <= 1:
        raise ValueError(f"teacher_share {recipe.teacher_share} is not between 0 and 1")
