"""The methods that experiments compare, by name and made on demand."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from train.networks.network import Network
from train.recipe import load_recipe
from train.run import Run
from train.systems.classic import CLASSIC, Enlarger, Plane
from train.systems.learned import enlarger
from train.trained import network_of
from vs_srcomp.models.catalogue import models

RECIPES = Path(__file__).parents[1] / "recipes" / "systems"


class Trained:
    """The trained systems by recipe name; each network is loaded once."""

    def __init__(self, runs: Path, recipes: Path = RECIPES) -> None:
        """Look for finished runs in ``runs``."""
        self._runs = runs
        self._recipes = recipes
        self._networks: dict[str, Network] = {}
        self._digests: dict[str, str] = {}
        self._enlargers: dict[tuple[str, int, bool, int], Enlarger] = {}

    def __contains__(self, name: str) -> bool:
        """Whether the run is finished."""
        return (self._recipes / f"{name}.toml").exists() and Run(self._runs / name).weights.exists()

    def names(self) -> list[str]:
        """Names of all trained systems, in alphabetical order."""
        return [path.stem for path in sorted(self._recipes.glob("*.toml")) if path.stem in self]

    def network(self, name: str) -> Network:
        """The network of the run ``name``."""
        if name not in self._networks:
            self._networks[name] = network_of(load_recipe(self._recipes / f"{name}.toml"), self._runs)
        return self._networks[name]

    def weights_of(self, method: str) -> str:
        """Digests of the weights of a method's networks; empty for a method without networks.

        Args:
            method: Name as in tables: ``"edsr-2x"``, ``"fsrcnn-2x, twice"``, ``"fast, ours"``.
        """
        return " ".join(filter(None, (self._digest(part) for part in method.split(", "))))

    def _digest(self, part: str) -> str:
        if part not in self._digests:
            # A trained system, or a tier of ours, which has a network for each ratio; otherwise empty.
            found = "".join(model.sha256 for model in models() if model.tier == part).encode()
            if part in self:
                found = Run(self._runs / part).weights.read_bytes()
            self._digests[part] = hashlib.sha256(found).hexdigest()[:12] if found else ""
        return self._digests[part]

    def missing(self, names: Iterable[str]) -> list[str]:
        """The ``names`` that are not trained yet."""
        return [name for name in names if name not in self]

    def enlarger(self, name: str, *, passes: int = 1, ensemble: bool = False, output: int = 0) -> Enlarger:
        """See :func:`train.systems.learned.enlarger`."""
        key = name, passes, ensemble, output
        if key not in self._enlargers:
            self._enlargers[key] = enlarger(self.network(name), passes=passes, ensemble=ensemble, output=output)
        return self._enlargers[key]


type Methods = dict[str, Callable[[], Enlarger]]
"""Factories of methods by name, in table order."""


def classic(*names: str) -> Methods:
    """Baselines by name, by default all."""
    return {name: lambda name=name: CLASSIC[name] for name in names or CLASSIC}  # type: ignore[misc]


def single(trained: Trained, names: Iterable[str]) -> Methods:
    """One pass of each trained network."""
    return {name: lambda name=name: trained.enlarger(name) for name in names if name in trained}  # type: ignore[misc]


def twice(trained: Trained, names: Iterable[str]) -> Methods:
    """Two passes of each trained network of scale 2, for scale 4."""
    return {
        f"{name}, twice": lambda name=name: trained.enlarger(name, passes=2)  # type: ignore[misc]
        for name in names
        if name in trained
    }


def ensembles(trained: Trained, names: Iterable[str]) -> Methods:
    """The mean of eight views by each trained network."""
    return {
        f"{name}, ensemble": lambda name=name: trained.enlarger(name, ensemble=True)  # type: ignore[misc]
        for name in names
        if name in trained
    }


def in_steps(trained: Trained, *steps: tuple[str, int]) -> Callable[[], Enlarger]:
    """A chain of networks, each given by name and scale."""

    def make() -> Enlarger:
        ways = [(trained.enlarger(name), scale) for name, scale in steps]

        def enlarge(plane: Plane, scale: int) -> Plane:
            for way, own in ways:
                plane = way(plane, own)
            return plane

        return enlarge

    return make


def made_of(methods: Methods) -> Iterator[tuple[str, Enlarger]]:
    """Make the methods one at a time."""
    for name, make in methods.items():
        yield name, make()
