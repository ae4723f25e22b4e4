"""What a recipe learns from and is measured on: a folder of photographs, coded for its pairs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from train.crops import PlanePair, load_pairs, split
from train.degrade import Pair, make_streams
from train.pictures import Plane, each_luma
from train.recipe import Recipe


@dataclass(frozen=True)
class Material:
    """Photographs in memory, and where their coded forms lie."""

    originals: dict[float, list[tuple[str, Plane]]]
    """Name and luma plane of each, by the scale that it was brought to: the same pictures in the same order for all."""
    streams: Path

    def train(self, recipe: Recipe) -> list[PlanePair]:
        """The pictures to learn from, once for each pair and each scale of ``recipe``."""
        return [coded for scale in recipe.scales for coded in self._coded(self._split(recipe, scale)[0], recipe)]

    def valid(self, recipe: Recipe) -> list[PlanePair]:
        """The pictures to measure on, once for each pair of ``recipe``."""
        return self._coded(self._split(recipe, 1.0)[1], recipe)

    def _split(self, recipe: Recipe, scale: float) -> tuple[list[tuple[str, Plane]], list[tuple[str, Plane]]]:
        # By picture, so that no level of a generalist has seen what another one is measured on.
        return split(self.originals[scale], recipe.valid_share, recipe.seed)

    def _coded(self, originals: list[tuple[str, Plane]], recipe: Recipe) -> list[PlanePair]:
        return [coded for pair in recipe.pairs for coded in load_pairs(originals, self.streams, pair)]


def gather(images: Path, streams: Path, recipes: Iterable[Recipe], *, code: bool = True) -> Material:
    """Read the photographs in ``images`` and, unless another process does it, code those that are not yet coded."""
    pairs: dict[float, list[Pair]] = {}
    for recipe in recipes:
        # At their own size, some of them are measured on.
        for scale in {1.0, *recipe.scales}:
            pairs.setdefault(scale, []).extend(recipe.pairs)
    if code:
        for scale, of_scale in pairs.items():
            make_streams(images, streams, dict.fromkeys(of_scale), scale=scale)
    return Material({scale: list(each_luma(images, scale)) for scale in pairs}, streams)
