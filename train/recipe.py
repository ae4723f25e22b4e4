"""A recipe: all that makes one model, as a small TOML file."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.degrade import Pair, pair_by_slug


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one model is trained. Every field is a key of the TOML file; those with defaults may be left out."""

    tier: str
    """``"fast"`` or ``"quality"``."""
    pair: Pair
    """Ratio and compression level; ``"2by1-q40"`` in the file."""
    stride: int
    """Of the network's grid against the picture's."""
    channels: int
    layers: int
    steps: int
    """Optimiser steps."""
    batch: int
    """Crops a step."""
    crop: int = 96
    """Side of a crop in pixels, a multiple of ``stride``."""
    learning_rate: float = 1e-3
    """At its highest, after ``warmup`` steps; then it falls as a half cosine to zero."""
    warmup: int = 200
    l1_share: float = 0.3
    """Share of the steps, from the start, with L1 instead of squared error: it is steadier far from the optimum."""
    valid_share: float = 0.1
    """Share of the pictures that are measured on instead of learned from."""
    start: str | None = None
    """Name of a finished run whose weights are the first ones."""
    draft: int = 0
    """Above 0 the run is only the start of others: its name ends in ``-draft1`` and so on, and it is not exported."""
    seed: int = 1

    @property
    def name(self) -> str:
        """The run's and the model's name: ``"srcomp-fast-2by1-q40"``."""
        return f"srcomp-{self.tier}-{self.pair.slug}" + (f"-draft{self.draft}" if self.draft else "")


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; ValueError says what is wrong in it."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text())
        table["pair"] = pair_by_slug(table["pair"])
        return Recipe(**table)
    except KeyError as reason:
        raise ValueError(f"{path}: the key {reason} is missing") from reason
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as reason:
        known = ", ".join(field.name for field in dataclasses.fields(Recipe))
        raise ValueError(f"{path}: {reason} (a recipe's keys are {known})") from reason
