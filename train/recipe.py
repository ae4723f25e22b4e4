"""A recipe: all that makes one model, as a small TOML file."""

import dataclasses
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from train.crops import PHASES
from train.degrade import PAIRS, Pair, pair_by_slug
from vs_srcomp.geometry import RATIOS, Ratio

BLIND = "blind"

INT8_RANGES = ("whole", "mean")

OPTIMIZERS = ("adam", "muon", "muon-everywhere")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one model is trained. Every field is a key of the TOML file; those with defaults may be left out."""

    tier: str
    """``"light"``, ``"fast"`` or ``"quality"``."""
    pair: str
    """Ratio and compression level, ``"2by1-q40"``; ``"2by1-blind"`` is a generalist for all levels of a ratio."""
    stride: int
    """Of the network's grid against the picture's."""
    channels: int
    layers: int
    steps: int
    """Optimiser steps."""
    batch: int
    """Crops a step, over all processes."""
    crop: int = 96
    """Side of a crop in pixels, a multiple of ``stride`` and of 8."""
    learning_rate: float = 1e-3
    """At its highest, after ``warmup`` steps; then it falls as a half cosine to zero."""
    optimizer: str = "adam"
    """``"adam"``; ``"muon"``, which learns in a third of the steps; ``"muon-everywhere"``, with Muon for the first and
    the last layer too, which pays on coarser grids."""
    warmup: int = 200
    l1_share: float = 0.3
    """Share of the steps, from the start, with L1 instead of squared error: it is steadier far from the optimum."""
    scales: tuple[float, ...] = (1.0,)
    """Of the pictures to learn from: each is learned from at each of these times its size. Those to measure on stay."""
    valid_share: float = 0.1
    """Share of the pictures that are measured on instead of learned from."""
    start: str | None = None
    """Name of a finished run, or of a model in engines/, whose weights are the first ones; it may have fewer layers."""
    teacher: str | None = None
    """Name of a finished run, or of a model in engines/, whose output is part of the target (distillation)."""
    teacher_share: float = 0.5
    """Of the target; the rest is the original."""
    int8_range: str = "whole"
    """Of the activations in the form in 8-bit integers: ``"whole"``, all that was seen, which keeps hard edges; or
    ``"mean"``, of the pictures' own ranges, with finer steps for what is fine."""
    draft: int = 0
    """Above 0 the run is only the start of others: its name ends in ``-draft1`` and so on, and it is not exported."""
    seed: int = 1

    @property
    def name(self) -> str:
        """The run's and the model's name: ``"srcomp-fast-2by1-q40"``."""
        return f"srcomp-{self.tier}-{self.pair}" + (f"-draft{self.draft}" if self.draft else "")

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """What the model is trained on: one pair, or all of its ratio."""
        slug, _, level = self.pair.rpartition("-")
        if level == BLIND and slug in {ratio.slug for ratio in RATIOS}:
            return tuple(pair for pair in PAIRS if pair.ratio.slug == slug)
        return (pair_by_slug(self.pair),)

    @property
    def ratio(self) -> Ratio:
        """That the model is for."""
        return self.pairs[0].ratio

    @property
    def q(self) -> int | None:
        """The compression level that the model is for; None is every level."""
        return self.pairs[0].q if len(self.pairs) == 1 else None


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; ValueError says what is wrong in it."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text())
        if "scales" in table:
            table["scales"] = tuple(table["scales"])
        recipe = Recipe(**table)
        _check(recipe)
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as reason:
        known = ", ".join(field.name for field in dataclasses.fields(Recipe))
        raise ValueError(f"{path}: {reason} (a recipe's keys are {known})") from reason
    return recipe


def in_order(recipes: Iterable[tuple[Path, Recipe]]) -> list[tuple[Path, Recipe]]:
    """Those that others start or learn from first; otherwise as given. ValueError if two wait for each other."""
    by_name = {recipe.name: (path, recipe) for path, recipe in recipes}
    needs = {name: {recipe.start, recipe.teacher} & by_name.keys() for name, (_, recipe) in by_name.items()}
    try:
        return [by_name[name] for name in TopologicalSorter(needs).static_order() if name is not None]
    except CycleError as reason:
        raise ValueError(f"these wait for each other: {', '.join(reason.args[1])}") from reason


def _check(recipe: Recipe) -> None:
    assert recipe.pairs  # raises ValueError where there is no such pair
    if recipe.crop % recipe.stride or recipe.crop % PHASES:
        raise ValueError(f"crop {recipe.crop} is not a multiple of stride {recipe.stride} and of {PHASES}")
    if recipe.optimizer not in OPTIMIZERS:
        raise ValueError(f"there is no optimizer {recipe.optimizer!r}: {', '.join(OPTIMIZERS)}")
    if recipe.int8_range not in INT8_RANGES:
        raise ValueError(f"there is no int8_range {recipe.int8_range!r}: {', '.join(INT8_RANGES)}")
    if not recipe.scales or not all(0 < scale <= 1 for scale in recipe.scales):
        raise ValueError(f"scales {list(recipe.scales)} are not between 0 and 1")
    if not 0 <= recipe.teacher_share <= 1:
        raise ValueError(f"teacher_share {recipe.teacher_share} is not between 0 and 1")
