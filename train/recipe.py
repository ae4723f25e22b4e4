"""A recipe: everything that determines one model, as a small TOML file."""

import dataclasses
import hashlib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.degradations import DEGRADATIONS
from train.degradations.mixture import check_parts
from train.material import MATERIALS
from train.material.crops import PHASES
from train.material.material import Material
from train.networks import NETWORKS
from train.networks.network import Network
from train.objectives import OBJECTIVES
from train.objectives.objective import Objective
from train.objectives.sum import read_terms
from train.registry import is_number
from vs_srcomp.geometry import Ratio, ratio_by_name
from vs_srcomp.models import LOOKS, TIERS

if TYPE_CHECKING:
    from train.material.patches import Patches

OPTIMIZERS = ("adam", "muon")
# A run's folder and a model's file have this name.
NAME = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
# Objectives that need files or packages beyond these: a recipe can be read without them.
HEAVY_OBJECTIVES = ("perceptual", "vmaf-neg")

type Part = Mapping[str, Any]
"""A table of the file: ``name``, and the part's own parameters."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one model is trained. Every field is a key of the TOML file; those with defaults are optional."""

    name: str
    """Name of the run and of the model: ``"srcomp-fast-2by1"``. A name with ``-draft`` marks a run that only others
    need, as their start or blend. Its model is not exported."""
    network: Part
    degradation: Part
    """Table of the degradation. ``av1`` has a ``ratio`` alone, and codes every picture at several levels."""
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
    """Scales of pictures before the degradation; not with AV1, which uses a third of them at 0.6, too."""
    copies: int = 1
    """Degraded versions of each picture, if the degradation is random; not with AV1."""
    clips: bool = True
    """Whether to train on clips made of the pictures, too, coded with inter prediction; AV1 only."""
    valid_share: float = 0.1
    """Share of the pictures for validation; of patches, only if there are no files for it."""
    start: str | None = None
    """Name of a finished run with the initial weights or, without such a run, of weights in train/starts or of one of
    this project's networks in the package. The start of an `InterpolatedStack` may be a `PlainStack`, or have other
    levels."""
    teacher: str | None = None
    """Name of a run or of a network of the package, as for ``start``, whose output is part of the target
    (distillation). It may have another form, which the recipe of that name in train/recipes states."""
    teacher_share: float = 0.5
    """Share of the teacher in the target; the rest is the original."""
    teacher_spares_black: bool = False
    """Whether the target beside black, as at bars of films, is the original alone: for a teacher that has not seen
    such borders."""
    blend: str | None = None
    """Name of a run or of a network of the package, as for ``start``, whose weights are part of the final ones: between
    networks that come from the same weights, all scores change smoothly (Wang et al. 2019, Deep Network Interpolation,
    arXiv 1811.10515)."""
    blend_share: float = 0.5
    """Share of ``blend`` in the final weights; the rest is trained."""
    tier: str | None = None
    """``"light"``, ``"fast"`` or ``"quality"``, for models that `upscale` chooses by tier."""
    look: str = "faithful"
    """``"faithful"`` or ``"crisp"``, for a tier's models."""
    seed: int = 1

    @property
    def is_draft(self) -> bool:
        """Whether only other runs need the model."""
        return "-draft" in self.name

    @property
    def ratio(self) -> Ratio | None:
        """The ratio of an AV1 model; None for models of other degradations."""
        return ratio_by_name(self.degradation["ratio"]) if self.degradation["name"] == "av1" else None

    @property
    def digest(self) -> str:
        """Digest of all fields that count before a run's end: it is resumed only with its own recipe."""
        return self._digest(lambda name: not name.startswith("blend"))

    @property
    def digest_of_weights(self) -> str:
        """Digest of all fields that the final weights depend on."""
        return self._digest(lambda name: True)

    def _digest(self, counts: Callable[[str], bool]) -> str:
        # Fields with their default are left out, so that a new field does not part recipes from their runs.
        defaults = type(self)(name="", network={}, degradation={}, steps=0, batch=0)
        counting = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if counts(name) and value != getattr(defaults, name)
        }
        return hashlib.sha256(repr(sorted(counting.items())).encode()).hexdigest()[:16]

    def make_network(self) -> Network:
        """The network, with random weights."""
        return NETWORKS.make(**self.network)

    def make_material(self) -> "Material | Patches":
        """The material."""
        return MATERIALS.make(**self.material)

    def make_objective(self) -> Objective:
        """The objective."""
        return OBJECTIVES.make(**self.objective)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; the ValueError for an invalid one describes its first mistake."""
    try:
        table = _read(path)
        known = {entry.name: entry for entry in dataclasses.fields(Recipe)}
        if unknown := table.keys() - known.keys():
            raise ValueError(f"there is no key {', '.join(sorted(unknown))} (a recipe's keys are {', '.join(known)})")
        needed = {name for name, entry in known.items() if entry.default is entry.default_factory}
        if missing := needed - table.keys():
            raise ValueError(f"{', '.join(sorted(missing))} is missing")
        _check_values(table)
        if "scales" in table:
            table["scales"] = tuple(table["scales"])
        recipe = Recipe(**table)
        _check(recipe)
    except UnicodeDecodeError as reason:
        raise ValueError(f"{path} is not a recipe: not a text file") from reason
    except (TypeError, ValueError, OSError) as reason:
        raise ValueError(f"{path}: {reason}") from reason
    return recipe


def in_order(recipes: Iterable[tuple[Path, Recipe]]) -> list[tuple[Path, Recipe]]:
    """Recipes in order of their dependencies (``start``, ``teacher``, ``blend``).

    Raises:
        ValueError: They are circular, or two files have recipes of one name.
    """
    by_name: dict[str, tuple[Path, Recipe]] = {}
    for path, recipe in recipes:
        other, _ = by_name.setdefault(recipe.name, (path, recipe))
        if other.resolve() != path.resolve():
            raise ValueError(f"{other} and {path} have the same name, {recipe.name}: rename one")
    needs = {
        name: {recipe.start, recipe.teacher, recipe.blend} & by_name.keys() for name, (_, recipe) in by_name.items()
    }
    try:
        return [by_name[name] for name in TopologicalSorter(needs).static_order() if name is not None]
    except CycleError as reason:
        raise ValueError(f"these wait for each other: {', '.join(reason.args[1])}") from reason


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8-sig"))


def _check_values(table: Mapping[str, Any]) -> None:
    """Check the type and the range of each value by itself."""
    for key, value in table.items():
        meaning, fits = VALUES[key]
        if not fits(value):
            raise ValueError(f"{key} is {meaning}, not {value!r}")


def _whole(least: int) -> tuple[str, Callable[[Any], bool]]:
    return (
        f"a whole number of {least} or more",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least,
    )


def _one_of(names: Iterable[str]) -> tuple[str, Callable[[Any], bool]]:
    return f"one of {', '.join(names)}", lambda value: value in names


_TABLE: tuple[str, Callable[[Any], bool]] = (
    "a table with a name",
    lambda value: isinstance(value, Mapping) and isinstance(value.get("name"), str),
)
_NAME: tuple[str, Callable[[Any], bool]] = (
    'a name of letters and digits, with single "-", "_" or "." between them',
    lambda value: isinstance(value, str) and NAME.fullmatch(value) is not None,
)
# What each key's value is, in words and as a check.
VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": _NAME,
    "network": _TABLE,
    "degradation": _TABLE,
    "material": _TABLE,
    "objective": _TABLE,
    "steps": _whole(0),
    "batch": _whole(1),
    "crop": _whole(1),
    "learning_rate": ("a number above 0", lambda value: is_number(value) and value > 0),
    "optimizer": _one_of(OPTIMIZERS),
    "warmup": _whole(0),
    "scales": (
        "a list of numbers above 0, and 1 at most",
        lambda value: (
            isinstance(value, list) and value != [] and all(is_number(each) and 0 < each <= 1 for each in value)
        ),
    ),
    "copies": _whole(1),
    "clips": ("true or false", lambda value: isinstance(value, bool)),
    "valid_share": ("a number between 0 and 1, without them", lambda value: is_number(value) and 0 < value < 1),
    "start": _NAME,
    "teacher": _NAME,
    "teacher_share": ("a number from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1),
    "teacher_spares_black": ("true or false", lambda value: isinstance(value, bool)),
    "blend": _NAME,
    "blend_share": ("a number from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1),
    "tier": _one_of(TIERS),
    "look": _one_of(LOOKS),
    "seed": (
        "a whole number from 0 to 4294967295",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 32,
    ),
}


def _check_objective(part: Part, crop: int) -> None:
    """Check an objective, and each term of a sum, on crops of ``crop`` pixels."""
    if part["name"] != "sum":
        _try_objective(part, crop)
        return
    OBJECTIVES.check(**part)
    for term in read_terms(part["terms"]):
        try:
            _try_objective({"name": term.name, **term.parameters}, crop)
        except ValueError as reason:
            raise ValueError(f"a term of the sum: {reason}") from reason
    if not any(term["name"] in HEAVY_OBJECTIVES for term in part["terms"]):
        OBJECTIVES.make(**part)


def _try_objective(part: Part, crop: int) -> None:
    OBJECTIVES.check(**part)
    if part["name"] not in HEAVY_OBJECTIVES:
        least = OBJECTIVES.make(**part).least_side
        if crop < least:
            raise ValueError(f"the objective {part['name']} needs crops of {least} and more, not {crop}")


def _check_degradation(part: Part) -> None:
    """Check a degradation and its parameters, and the ratios of a mixture's parts.

    What needs a package that is not installed is reported when it is used.
    """
    DEGRADATIONS.require(part["name"])
    if part["name"] != "mixture":
        with suppress(ImportError):
            DEGRADATIONS.make(**part)
        return
    DEGRADATIONS.check(**part)
    shared = {key: value for key, value in part.items() if key not in ("name", "parts")}
    for each in check_parts(part["parts"]):
        try:
            _check_degradation({key: value for key, value in (shared | dict(each)).items() if key != "share"})
        except ValueError as reason:
            raise ValueError(f"a part of the mixture, with the keys that all share: {reason}") from reason
        if (ratio := each.get("ratio", part.get("ratio", 2))) != part.get("ratio", 2):
            raise ValueError(f"the part {each['name']} of a mixture has ratio {ratio}, not the mixture's")


def _check_scale(recipe: Recipe, network: Network) -> None:
    """Check that the network's scale fits the degradation, without importing optional packages."""
    for part in _final_parts(recipe.degradation):
        ratio, enlarged = part.get("ratio", 2), part.get("enlarged", False)
        for each in ratio if isinstance(ratio, list) else [ratio]:
            if isinstance(each, int) and network.scale != (1 if enlarged else each):
                way = "and enlarged again" if enlarged else "and not enlarged"
                raise ValueError(
                    f"a network of scale {network.scale} does not fit pictures made {each} times smaller {way}, as "
                    f"those of {part['name']}"
                )
    if recipe.crop % network.scale:
        raise ValueError(f"crop {recipe.crop} is not a multiple of the scale {network.scale}")
    if recipe.crop // network.scale % network.stride:
        raise ValueError(f"crop {recipe.crop} is not a multiple of the stride {network.stride}")


def _final_parts(degradation: Part) -> Iterator[Part]:
    """The degradation itself, or the parts of a mixture, with the keys that these share."""
    if degradation["name"] != "mixture":
        yield degradation
        return
    common = {key: value for key, value in degradation.items() if key not in ("name", "parts")}
    for part in check_parts(degradation["parts"]):
        yield from _final_parts(common | dict(part))


def _check_channels(objective: Part, network: Network) -> None:
    """Check that a discriminator takes what the network gives."""
    for part in objective["terms"] if objective["name"] == "sum" else [objective]:
        if part["name"] == "adversarial" and (channels := part.get("channels", 1)) != network.channels:
            raise ValueError(
                f"the objective adversarial has channels = {channels}, but the network gives {network.channels}: set "
                f"channels = {network.channels} in the objective"
            )


def _check(recipe: Recipe) -> None:
    for role in ("start", "teacher", "blend"):
        if getattr(recipe, role) == recipe.name:
            raise ValueError(
                f"{role} is the recipe itself, {recipe.name}: to go on from the network of that name in the package, "
                "give the recipe another name"
            )
    if recipe.steps == 0 and recipe.start is None:
        raise ValueError(f"{recipe.steps} steps: a recipe has some, or a start that it keeps")
    if recipe.teacher_spares_black and recipe.teacher is None:
        raise ValueError("teacher_spares_black needs a teacher")
    try:
        network = recipe.make_network()
    except (RuntimeError, ArithmeticError) as reason:
        raise ValueError(f"network {recipe.network['name']} cannot be made so ({reason})") from reason
    if PHASES % network.stride:
        raise ValueError(
            f"stride {network.stride} does not divide {PHASES}, of which the sides of validation pictures are "
            "multiples: set the network's stride to 1, 2, 4 or 8"
        )
    if recipe.degradation["name"] == "av1":
        if "ratio" not in recipe.degradation:
            raise ValueError('the degradation av1 needs a ratio: "2:1", "8:5" or "4:3"')
        if further := recipe.degradation.keys() - {"name", "ratio"}:
            raise ValueError(f"the degradation av1 of a recipe has no {', '.join(sorted(further))}: levels are fixed")
        assert recipe.ratio is not None
        if network.scale != 1:
            raise ValueError(
                f"a network of scale {network.scale} does not fit the ratio {recipe.ratio.name}: pictures coded with "
                "AV1 come enlarged, so that the network has scale 1"
            )
        if network.channels != 1:
            raise ValueError(
                f"a network of {network.channels} channels does not fit av1, which gives luma: set its channels to 1"
            )
        if recipe.scales != (1.0,) or recipe.copies != 1:
            raise ValueError("scales and copies are for other degradations: av1 codes each picture at five levels")
        if recipe.crop % network.stride or recipe.crop % PHASES:
            raise ValueError(f"crop {recipe.crop} is not a multiple of stride {network.stride} and of {PHASES}")
    else:
        if recipe.material["name"] == "patches":
            raise ValueError("the material patches is degraded already: it needs the degradation av1 with its ratio")
        if network.channels not in (1, 3):
            raise ValueError(f"a network of {network.channels} channels fits no pictures: 1 is luma, 3 is RGB")
        _check_degradation(recipe.degradation)
        _check_scale(recipe, network)
    recipe.make_material()
    _check_objective(recipe.objective, recipe.crop)
    _check_channels(recipe.objective, network)
