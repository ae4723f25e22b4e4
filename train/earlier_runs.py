"""What a recipe takes from earlier runs: where it starts, its teacher, and what is blended in."""

import copy
import hashlib
from collections.abc import Container, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import torch

from train.exported import is_installed, take_installed
from train.networks.interpolated import InterpolatedStack
from train.networks.network import Network
from train.recipe import Recipe
from train.run import Origin, Run, checkpoint_step, read_weights
from train.stepper import to_working_format
from train.trained import recipe_by_name

STARTS: Final = Path(__file__).parent / "starts"
"""Weights, in half precision, of runs whose networks are not in the package, but worth going on from."""

MERGED: Final = "-levels"
"""End of the names of weights that `python -m train merge-levels` makes, which have no recipe."""


def check_runs(recipe: Recipe, runs: Path, expected: Container[str | None] = ()) -> None:
    """Check what `fit` needs of earlier runs, before the material is made; ``expected`` are runs still to come.

    Raises:
        ValueError: The start, the teacher or the blend is not trained yet, the teacher has no recipe, or the run was
            begun with another recipe.
    """
    for name, role in ((recipe.start, "start"), (recipe.teacher, "teacher"), (recipe.blend, "blend")):
        if name is not None and name not in expected and not _weights(name, runs).exists() and not is_installed(name):
            how = "make it as `make models` does" if name.endswith(MERGED) else "train it first"
            raise ValueError(f"{name} cannot be the {role}: there is no {Run(runs / name).weights}; {how}")
    if recipe.teacher is not None:
        _recipe_of_teacher(recipe.teacher)
    if (checkpoint := Run(runs / recipe.name).checkpoint).exists():
        checkpoint_step(checkpoint, Origin(recipe.digest))


def take_weights(network: Network, name: str, runs: Path, role: str = "start") -> None:
    """Give ``network`` the weights of the run ``name``, or those of the network of the package.

    Raises:
        ValueError: They are of another form; the message calls ``name`` the ``role``.
    """
    path = _weights(name, runs)
    weights = read_weights(path, name) if path.exists() else None
    try:
        if weights is None:
            take_installed(network, name)
        elif isinstance(network, InterpolatedStack) and "gains" in weights:
            network.take_plain(lambda plain: plain.load_state_dict(weights))
        elif isinstance(network, InterpolatedStack) and (levels := _other_levels(network, name)):
            network.take_levels(levels, lambda stack: stack.load_state_dict(weights))
        else:
            network.load_state_dict(weights)
    except (RuntimeError, ValueError) as reason:
        raise ValueError(f"{name} cannot be the {role}: it has another form") from reason


@torch.no_grad()
def blend_in(network: Network, recipe: Recipe, runs: Path) -> None:
    """Mix the weights of the recipe's ``blend`` into those of ``network``.

    Raises:
        ValueError: They are of another form.
    """
    assert recipe.blend is not None
    other = copy.deepcopy(network)
    take_weights(other, recipe.blend, runs, "blend")
    for own, added in zip(network.parameters(), other.parameters(), strict=True):
        own.lerp_(added, recipe.blend_share)


def digest_of_earlier(recipe: Recipe, runs: Path) -> str:
    """The digest of the weights of the start and the teacher; empty without them, and if one of them is not there."""
    files = [_weights(name, runs) for name in (recipe.start, recipe.teacher) if name is not None]
    if not files or not all(file.exists() for file in files):
        return ""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _other_levels(network: InterpolatedStack, name: str) -> Sequence[float]:
    """The levels of the run ``name`` by its recipe, which its weights do not state; empty if ``network`` has them."""
    with suppress(ValueError):  # a run without a recipe
        made = recipe_by_name(name).make_network()
        if isinstance(made, InterpolatedStack) and made.levels != network.levels:
            return made.levels
    return ()


def _weights(name: str, runs: Path) -> Path:
    """The file with the weights of the run ``name``; in `STARTS` if it is not among ``runs``."""
    path = Run(runs / name).weights
    return path if path.exists() else STARTS / f"{name}.safetensors"


def _recipe_of_teacher(name: str) -> Recipe:
    """The recipe of a teacher, which states the form of its network, as its weights do not."""
    try:
        return recipe_by_name(name)
    except ValueError as reason:
        raise ValueError(f"{name} cannot be the teacher: {reason}") from reason


def teacher_of(recipe: Recipe, runs: Path, network: Network, device: torch.device) -> Network:
    """The teacher of ``network``, ready on ``device``.

    Raises:
        ValueError: It has no recipe, or another form or scale.
    """
    assert recipe.teacher is not None
    teacher = _recipe_of_teacher(recipe.teacher).make_network()
    take_weights(teacher, recipe.teacher, runs, "teacher")
    if teacher.scale != network.scale:
        raise ValueError(f"{recipe.teacher} cannot be the teacher: it has scale {teacher.scale}")
    return to_working_format(teacher, device).eval().requires_grad_(False)
