"""A recipe: all that makes one model, as a small TOML file."""

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
    """How one model is trained. Every field is a key of the TOML file; those with defaults may be left out."""

    name: str
    """Of the run and of the model: ``"srcomp-fast-2by1"``. One that ends in ``-draft1`` and so on is only the start of
    others and is not exported."""
    network: Part
    degradation: Part
    """``av1`` has ``ratio``, and codes every picture at several levels."""
    material: Part = field(default_factory=lambda: {"name": "photographs"})
    objective: Part = field(default_factory=lambda: {"name": "faithful"})
    steps: int
    """Optimiser steps; with none, the model is what it starts from."""
    batch: int
    """Crops a step, over all processes."""
    crop: int = 96
    """Side of a crop in pixels of the original; for AV1 a multiple of the network's stride and of 8."""
    learning_rate: float = 1e-3
    """At its highest, after ``warmup`` steps; then it falls as a half cosine to zero."""
    optimizer: str = "muon"
    """``"adam"``; or ``"muon"``, which learns in a third of the steps."""
    warmup: int = 200
    scales: tuple[float, ...] = (1.0,)
    """Of the pictures, before they are degraded; for AV1 a third of them is taken at 0.6 too, whatever this is."""
    copies: int = 1
    """Degraded versions of each picture, where the degradation has something random."""
    clips: bool = True
    """Whether clips made of the pictures, coded with inter frames, are learned from too; AV1 alone."""
    valid_share: float = 0.1
    """Share of the pictures that are measured on instead of learned from."""
    start: str | None = None
    """Name of a finished run, whose weights are the first ones."""
    teacher: str | None = None
    """Name of a finished run, whose output is part of the target (distillation)."""
    teacher_share: float = 0.5
    """Of the target; the rest is the original."""
    tier: str | None = None
    """``"light"``, ``"fast"`` or ``"quality"``, of the models that `upscale` chooses from by tier."""
    look: str = "faithful"
    """``"faithful"`` or ``"crisp"``, of a tier's models."""
    seed: int = 1

    @property
    def is_draft(self) -> bool:
        """Whether it is only the start of other runs."""
        return "-draft" in self.name

    @property
    def ratio(self) -> Ratio | None:
        """That the model is for; None for one of a whole scale."""
        return ratio_by_name(self.degradation["ratio"]) if self.degradation["name"] == "av1" else None

    @property
    def digest(self) -> str:
        """Of everything that decides what is learned: a run goes on only under the recipe that it began with."""
        return hashlib.sha256(repr(sorted(dataclasses.asdict(self).items())).encode()).hexdigest()[:16]

    def make_network(self) -> Network:
        """The network, with random weights."""
        return NETWORKS.make(**self.network)

    def make_material(self) -> Material:
        """Where pictures come from."""
        return MATERIALS.make(**self.material)

    def make_objective(self) -> Objective:
        """What it learns for."""
        return OBJECTIVES.make(**self.objective)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; ValueError describes the mistake in it."""
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
    """Those that others start or learn from first; otherwise as given. ValueError if two wait for each other."""
    by_name = {recipe.name: (path, recipe) for path, recipe in recipes}
    needs = {name: {recipe.start, recipe.teacher} & by_name.keys() for name, (_, recipe) in by_name.items()}
    try:
        return [by_name[name] for name in TopologicalSorter(needs).static_order() if name is not None]
    except CycleError as reason:
        raise ValueError(f"these wait for each other: {', '.join(reason.args[1])}") from reason


def _check_scale(recipe: Recipe, network: Network) -> None:
    """That the network gives back what the degradation takes; a part that this machine lacks is not made for that."""
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
            registry.part(str(part["name"]))  # raises the error that names those there are
    if recipe.optimizer not in OPTIMIZERS:
        raise ValueError(f"there is no optimizer {recipe.optimizer!r}: {', '.join(OPTIMIZERS)}")
    if not recipe.scales or not all(0 < scale <= 1 for scale in recipe.scales):
        raise ValueError(f"scales {list(recipe.scales)} are not between 0 and 1")
    if not 0 <= recipe.teacher_share <= 1:
        raise ValueError(f"teacher_share {recipe.teacher_share} is not between 0 and 1")
