"""The training loop: from a recipe to weights and a log. A killed run resumes from its last checkpoint."""

import copy
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from train.clock import Clock
from train.earlier_runs import blend_in, check_runs, digest_of_earlier, take_weights, teacher_of
from train.errors import DivergedError
from train.material.coded import Example
from train.material.stream import Stream, open_crops
from train.networks.network import Network
from train.parallel import Team
from train.recipe import Recipe
from train.run import (
    Origin,
    Run,
    append_log,
    draw_curves,
    load_checkpoint,
    save_checkpoint,
    save_weights,
    start_log,
)
from train.stepper import State, Stepper, to_working_format
from train.validation import Validation

VALIDATIONS: Final = 20
"""Number of validations and checkpoints of a run."""

# Cost of a training step relative to a forward pass.
_BACKWARD: Final = 3

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
    run = Run(runs / recipe.name)
    torch.manual_seed(recipe.seed)
    network = to_working_format(recipe.make_network(), team.device)
    check_runs(recipe, runs)
    if recipe.start is not None:
        take_weights(network, recipe.start, runs)
    if recipe.blend is not None:
        blend_in(copy.deepcopy(network), recipe, runs)  # a blend of another form is found out now
    run.folder.mkdir(parents=True, exist_ok=True)
    if recipe.steps:
        training = _Training(recipe, network, valid, runs, team, seconds)
        training.run(train)
        network = training.state.average
    if recipe.blend is not None:
        blend_in(network, recipe, runs)
    if team.leads:
        save_weights(run.weights, network, recipe.digest_of_weights)
    # Another run may start from these weights.
    team.wait()
    return network


class _Training:
    """The steps of a run, from its last checkpoint on."""

    def __init__(
        self,
        recipe: Recipe,
        network: Network,
        valid: Sequence[Example],
        runs: Path,
        team: Team,
        seconds: float | None,
    ) -> None:
        self.recipe, self.network, self.team = recipe, network, team
        self.files = Run(runs / recipe.name)
        self.state = State(recipe, network, copy.deepcopy(network), team.device)
        self.state.teacher = None if recipe.teacher is None else teacher_of(recipe, runs, network, team.device)
        self.origin = Origin(recipe.digest, _digest_of_pictures(valid), digest_of_earlier(recipe, runs))
        self.step = 0
        if self.files.checkpoint.exists():
            networks, optimizers = self.state.networks, self.state.optimizers
            self.step = load_checkpoint(self.files.checkpoint, networks, optimizers, self.origin)
        team.wait()
        if team.leads:
            start_log(self.files.log, self.step)
        self.validation = Validation(valid, team.device)
        self.clock = Clock(recipe.steps, seconds, self.step, team)

    def run(self, train: Sequence[Example] | Stream) -> None:
        """Take the steps, with a validation and a checkpoint after each part of the run."""
        with open_crops(train, self.recipe.crop, self.team.device) as crops, _progress(self.team) as progress:
            stepper = Stepper(self.recipe, self.state, self.team.synchronised(self.network), crops, self.team)
            bar = progress.add_task(self.recipe.name, completed=self.step, total=self.recipe.steps, gain="")
            show = partial(progress.update, bar)
            while not self.clock.is_over(self.step):
                loss = self._take_part(stepper, show)
                if self.team.leads:
                    self._measure(loss, show)
                    save_checkpoint(
                        self.files.checkpoint, self.state.networks, self.state.optimizers, self.step, self.origin
                    )
        if self.team.leads:
            draw_curves(self.files.log, self.files.curves, self.recipe.name, enlarges=self.network.scale > 1)

    def _take_part(self, stepper: Stepper, show: Callable[..., None]) -> float:
        """Take the steps up to the next validation.

        Returns:
            Their mean loss.

        Raises:
            DivergedError: It is infinite, or not a number.
        """
        clock, begun = self.clock, self.step
        clock.read()
        part = min(VALIDATIONS - 1, int(VALIDATIONS * clock.done(begun)))
        stepper.begin(begun, part / VALIDATIONS)
        while clock.done(self.step) < (part + 1) / VALIDATIONS and not clock.is_over(self.step):
            for _ in range(min(_AT_A_TIME, self.recipe.steps - self.step)):
                stepper.take(self._rate())
                self.step += 1
            stepper.wait()
            clock.read()
            show(completed=self.step)
        loss = self.team.mean(stepper.loss_of(self.step - begun))
        if not math.isfinite(loss):
            raise DivergedError(f"{self.recipe.name}: the loss is {loss} at step {self.step}; lower learning_rate")
        return loss

    def _measure(self, loss: float, show: Callable[..., None]) -> None:
        """Add a row to the log, if there is time for a validation."""
        recipe, clock = self.recipe, self.clock
        share = self.validation.pixels / (_BACKWARD * recipe.batch * recipe.crop**2)
        if not clock.is_over(self.step) and not clock.may_measure(share * clock.mean_step(self.step)):
            return
        begun = time.monotonic()
        gain = self.validation.gain(self.state.average)
        clock.measuring += time.monotonic() - begun
        show(gain=_gain_text(gain, enlarges=self.network.scale > 1))
        append_log(self.files.log, (self.step, f"{self._rate():.2e}", f"{loss:.5f}", f"{gain:.4f}"))

    def _rate(self) -> float:
        return learning_rate(self.recipe, self.step, self.clock.done(self.step))


def _digest_of_pictures(valid: Iterable[Example]) -> str:
    names = sorted({example.picture for example in valid})
    return hashlib.sha256(os.fsencode("\n".join(names))).hexdigest()[:16]


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
