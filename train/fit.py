"""The training loop: from a recipe to weights and a log. A killed run resumes from its last checkpoint."""

import copy
import hashlib
import math
import os
import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from train.errors import DivergedError
from train.exported import is_installed, take_installed
from train.material.coded import Example
from train.material.stream import Stream, open_crops
from train.networks.interpolated import InterpolatedStack
from train.networks.network import Network
from train.parallel import Team
from train.recipe import Recipe
from train.run import (
    Origin,
    Run,
    append_log,
    checkpoint_step,
    draw_curves,
    load_checkpoint,
    read_weights,
    save_checkpoint,
    save_weights,
    start_log,
)
from train.stepper import State, Stepper, to_working_format
from train.trained import recipe_by_name
from train.validation import Validation

STARTS: Final = Path(__file__).parent / "starts"
"""Weights, in half precision, of runs whose networks are not in the package, but worth going on from."""

MERGED: Final = "-levels"
"""End of the names of weights that `python -m train merge-levels` makes, which have no recipe."""

VALIDATIONS: Final = 20
"""Number of validations and checkpoints of a run."""

# Cost of a training step relative to a forward pass.
_BACKWARD: Final = 3
# Largest share of validations in a run with a time limit, before its end.
_FOR_MEASURING: Final = 0.1

# Steps between checks of the clock. The device is not synchronised in between.
_AT_A_TIME: Final = 25


def fit(
    recipe: Recipe,
    train: Sequence[Example] | Stream,
    valid: Sequence[Example],
    runs: Path,
    team: Team,
    seconds: float | None = None,
) -> nn.Module:
    """Train the network of ``recipe`` and return it with its averaged weights.

    Args:
        recipe: The recipe.
        train: Training data. Examples are copied to the memory of the device; a stream reads pictures on demand. A
            recipe without steps needs none.
        valid: Validation data, used ``VALIDATIONS`` times.
        runs: Folder of all runs; the files of this run go to its subfolder with the recipe's name.
        team: The processes that train together. bfloat16 is used if the device has units for it. Crops do not depend
            on the number of processes, so results differ only by rounding, and by means over crops that an objective
            takes (adversarial, perceptual), which each process takes over its own.
        seconds: Time limit of the run, to which the schedule is adapted if it ends before the last step. Validations
            take at most a tenth of it before the end, so large networks are validated less often.

    Raises:
        DivergedError: The loss became infinite or not a number after the last checkpoint.
        ValueError: The start, the teacher or the blend is missing or does not fit, the run was begun with another
            recipe, or the batch cannot be divided evenly.
    """
    run, device = Run(runs / recipe.name), team.device
    torch.manual_seed(recipe.seed)
    network = to_working_format(recipe.make_network(), device)
    check_runs(recipe, runs)
    if recipe.start is not None:
        _take_weights(network, recipe.start, runs)
    run.folder.mkdir(parents=True, exist_ok=True)
    if recipe.blend is not None:
        _take_weights(copy.deepcopy(network), recipe.blend, runs, "blend")  # a blend of another form is found out now
    if recipe.steps == 0:
        if recipe.blend is not None:
            _blend(network, recipe, runs)
        if team.leads:
            save_weights(run.weights, network, recipe.digest_of_weights)
        team.wait()
        return network
    state = State(recipe, network, copy.deepcopy(network), device)
    state.teacher = None if recipe.teacher is None else _teacher(recipe, runs, network, device)
    origin = Origin(recipe.digest, _digest_of_pictures(valid), _digest_of_weights(recipe, runs))
    first = load_checkpoint(run.checkpoint, state.networks, state.optimizers, origin) if run.checkpoint.exists() else 0
    team.wait()
    if team.leads:
        start_log(run.log, first)
    validation = Validation(valid, device)
    clock = _Clock(recipe.steps, seconds, first, team)
    with open_crops(train, recipe.crop, device) as crops, _progress(team) as progress:
        stepper = Stepper(recipe, state, team.synchronised(network), crops, team)
        bar = progress.add_task(recipe.name, completed=first, total=recipe.steps, gain="")
        step = first
        over = clock.is_over(step)
        while not over:
            clock.read()
            part = min(VALIDATIONS - 1, int(VALIDATIONS * clock.done(step)))
            stepper.begin(step, part / VALIDATIONS)
            begun = step
            while clock.done(step) < (part + 1) / VALIDATIONS and not clock.is_over(step):
                for _ in range(min(_AT_A_TIME, recipe.steps - step)):
                    stepper.take(learning_rate(recipe, step, clock.done(step)))
                    step += 1
                stepper.wait()
                clock.read()
                progress.update(bar, completed=step)
            over = clock.is_over(step)
            loss = team.mean(stepper.loss_of(step - begun))
            if not math.isfinite(loss):
                raise DivergedError(f"{recipe.name}: the loss is {loss} at step {step}; lower learning_rate")
            rate = learning_rate(recipe, step, clock.done(step))
            if team.leads:
                cost = validation.pixels / (_BACKWARD * recipe.batch * recipe.crop**2) * clock.mean_step(step)
                if over or clock.may_measure(cost):
                    begun_at = time.monotonic()
                    gain = validation.gain(state.average)
                    clock.measuring += time.monotonic() - begun_at
                    progress.update(bar, gain=_gain_text(gain, enlarges=network.scale > 1))
                    append_log(run.log, (step, f"{rate:.2e}", f"{loss:.5f}", f"{gain:.4f}"))
                save_checkpoint(run.checkpoint, state.networks, state.optimizers, step, origin)
    if team.leads:
        draw_curves(run.log, run.curves, recipe.name, enlarges=network.scale > 1)
        if recipe.blend is not None:
            _blend(state.average, recipe, runs)
        save_weights(run.weights, state.average, recipe.digest_of_weights)
    # Another run may start from these weights.
    team.wait()
    return state.average


@dataclass
class _Clock:
    """Progress of a run: by its steps, or by its time limit if that is shorter.

    The leader's time counts, so that all processes take the same steps at the same rates.
    """

    steps: int
    seconds: float | None
    first: int
    team: Team
    measuring: float = 0.0
    """Seconds spent in validations."""

    def __post_init__(self) -> None:
        self._begin = time.monotonic()
        self._passed = 0.0

    def read(self) -> None:
        """Read the leader's time, which counts until this is called again. All processes call it at the same steps."""
        if self.seconds is not None:
            self._passed = self.team.of_leader(time.monotonic() - self._begin)

    def mean_step(self, step: int) -> float:
        """Seconds per step."""
        return (time.monotonic() - self._begin - self.measuring) / max(1, step - self.first)

    def may_measure(self, cost: float) -> bool:
        """Whether there is time for a validation of about ``cost`` seconds before the end."""
        if self.seconds is None:
            return True
        return self.measuring + cost <= _FOR_MEASURING * (time.monotonic() - self._begin)

    def done(self, step: int) -> float:
        """Share of the run, 0 to 1."""
        by_steps = step / self.steps
        if self.seconds is None:
            return by_steps
        before = self.first / self.steps
        return max(by_steps, before + (1 - before) * min(1.0, self._passed / self.seconds))

    def is_over(self, step: int) -> bool:
        return self.done(step) >= 1


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


def _take_weights(network: Network, name: str, runs: Path, role: str = "start") -> None:
    path = _weights(name, runs)
    weights = read_weights(path, name) if path.exists() else None
    try:
        if weights is None:
            take_installed(network, name)
        elif isinstance(network, InterpolatedStack) and "gains" in weights:
            network.take_plain(lambda plain: plain.load_state_dict(weights))
        else:
            network.load_state_dict(weights)
    except (RuntimeError, ValueError) as reason:
        raise ValueError(f"{name} cannot be the {role}: it has another form") from reason


@torch.no_grad()
def _blend(network: Network, recipe: Recipe, runs: Path) -> None:
    """Mix the weights of the recipe's ``blend`` into those of ``network``."""
    assert recipe.blend is not None
    other = copy.deepcopy(network)
    _take_weights(other, recipe.blend, runs, "blend")
    for own, added in zip(network.parameters(), other.parameters(), strict=True):
        own.lerp_(added, recipe.blend_share)


def _digest_of_pictures(valid: Iterable[Example]) -> str:
    names = sorted({example.picture for example in valid})
    return hashlib.sha256(os.fsencode("\n".join(names))).hexdigest()[:16]


def _digest_of_weights(recipe: Recipe, runs: Path) -> str:
    """Of the start and the teacher; empty without them, and if the run of one is not there."""
    files = [_weights(name, runs) for name in (recipe.start, recipe.teacher) if name is not None]
    if not files or not all(file.exists() for file in files):
        return ""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _weights(name: str, runs: Path) -> Path:
    """The file with the weights of the run ``name``; in `STARTS` if it is not among ``runs``."""
    path = Run(runs / name).weights
    return path if path.exists() else STARTS / f"{name}.safetensors"


def _recipe_of_teacher(name: str) -> Recipe:
    try:
        return recipe_by_name(name)
    except ValueError as reason:
        raise ValueError(f"{name} cannot be the teacher: {reason}") from reason


def _teacher(recipe: Recipe, runs: Path, network: Network, device: torch.device) -> Network:
    assert recipe.teacher is not None
    teacher = _recipe_of_teacher(recipe.teacher).make_network()
    _take_weights(teacher, recipe.teacher, runs, "teacher")
    if teacher.scale != network.scale:
        raise ValueError(f"{recipe.teacher} cannot be the teacher: it has scale {teacher.scale}")
    return to_working_format(teacher, device).eval().requires_grad_(False)


def learning_rate(recipe: Recipe, step: int, done: float) -> float:
    """Linear warm-up, then half a cosine down to zero; ``done`` is the share of the run, 0 to 1."""
    warm = min(1.0, (step + 1) / max(1, recipe.warmup))
    return recipe.learning_rate * warm * (1 + math.cos(math.pi * min(1.0, done))) / 2


def _gain_text(gain: float, *, enlarges: bool) -> str:
    """What `Validation.gain` is: the PSNR of a network that ``enlarges``, of others the gain over Lanczos-5."""
    return f"PSNR {gain:.3f} dB" if enlarges else f"{gain:+.3f} dB"


def _progress(team: Team) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    gain = TextColumn("{task.fields[gain]}")
    return Progress(*columns, gain, console=Console(stderr=True), disable=not team.leads)
