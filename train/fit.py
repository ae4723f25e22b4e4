"""The training loop: from a recipe to weights and a log. A killed run resumes from its last checkpoint."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError
from torch import Tensor, nn

from train.exported import is_installed, take_installed
from train.material.coded import Example
from train.material.crops import CropBank, Crops
from train.material.stream import CropStream, Stream, open_crops
from train.muon import Muon
from train.networks.network import Network, outputs_of
from train.parallel import Team
from train.recipe import Recipe
from train.run import (
    Run,
    append_log,
    checkpoint_step,
    draw_curves,
    load_checkpoint,
    save_checkpoint,
    save_weights,
    start_log,
)
from train.trained import recipe_by_name
from train.validation import Validation

STARTS: Final = Path(__file__).parent / "starts"
"""Weights, in half precision, of runs whose networks are not in the package, but worth going on from."""

VALIDATIONS: Final = 20
"""Number of validations and checkpoints of a run."""
# Weights averaged over about this many steps generalise a little better than the last ones (Polyak averaging).
AVERAGE_OVER: Final = 500
GRADIENT_NORM: Final = 0.5
# Adam's learning rate for the discriminator of an adversarial objective.
DISCRIMINATOR_RATE: Final = 1e-4

# Cost of a training step relative to a forward pass.
_BACKWARD: Final = 3
# Largest share of validations in a run with a time limit, before its end.
_FOR_MEASURING: Final = 0.1

# Steps between checks of the clock. The device is not synchronised in between.
_AT_A_TIME: Final = 25


class Diverged(RuntimeError):  # noqa: N818 - reads as what happened
    """The loss is infinite or not a number."""


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
            on the number of processes, so results differ only by rounding.
        seconds: Time limit of the run, to which the schedule is adapted if it ends before the last step. Validations
            take at most a tenth of it before the end, so large networks are validated less often.

    Raises:
        Diverged: The loss became infinite or not a number after the last checkpoint.
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
    if recipe.steps == 0:
        if team.leads:
            save_weights(run.weights, network)
        team.wait()
        return network
    state = _State(recipe, network, copy.deepcopy(network), device)
    state.teacher = None if recipe.teacher is None else _teacher(recipe, runs, network, device)
    first = (
        load_checkpoint(run.checkpoint, state.networks, state.optimizers, recipe.digest)
        if run.checkpoint.exists()
        else 0
    )
    team.wait()
    if team.leads:
        start_log(run.log, first)
    validation = Validation(valid, device)
    clock = _Clock(recipe.steps, seconds, first)
    with open_crops(train, recipe.crop, device) as crops, _progress(team) as progress:
        stepper = _Stepper(recipe, state, team.synchronised(network), crops, team)
        bar = progress.add_task(recipe.name, completed=first, total=recipe.steps, gain="")
        step = first
        over = clock.is_over(step)
        while not over:
            part = min(VALIDATIONS - 1, int(VALIDATIONS * clock.done(step)))
            stepper.begin(step, part / VALIDATIONS)
            begun = step
            while clock.done(step) < (part + 1) / VALIDATIONS and not clock.is_over(step):
                for _ in range(min(_AT_A_TIME, recipe.steps - step)):
                    stepper.take(learning_rate(recipe, step, clock.done(step)))
                    step += 1
                stepper.wait()
                progress.update(bar, completed=step)
            over = clock.is_over(step)
            loss = team.mean(stepper.loss_of(step - begun))
            if not math.isfinite(loss):
                raise Diverged(f"{recipe.name}: the loss is {loss} at step {step}; lower learning_rate")
            if team.leads:
                cost = validation.pixels / (_BACKWARD * recipe.batch * recipe.crop**2) * clock.mean_step(step)
                if over or clock.may_measure(cost):
                    begun_at = time.monotonic()
                    gain = validation.gain(state.average)
                    clock.measuring += time.monotonic() - begun_at
                    progress.update(bar, gain=f"{gain:+.3f} dB")
                    rate = learning_rate(recipe, step, clock.done(step))
                    append_log(run.log, (step, f"{rate:.2e}", f"{loss:.5f}", f"{gain:.4f}"))
                save_checkpoint(run.checkpoint, state.networks, state.optimizers, step, recipe.digest)
    if team.leads:
        draw_curves(run.log, run.curves, recipe.name)
        if recipe.blend is not None:
            _blend(state.average, recipe, runs)
        save_weights(run.weights, state.average)
    # Another run may start from these weights.
    team.wait()
    return state.average


class _State:
    """The state in a checkpoint."""

    def __init__(self, recipe: Recipe, network: Network, average: Network, device: torch.device) -> None:
        self.network, self.average = network, average.requires_grad_(False)
        self.objective = to_working_format(recipe.make_objective(), device)
        self.optimizer = _optimizer(recipe, network)
        self.discriminator = self.objective.discriminator
        self.judge = (
            None
            if self.discriminator is None
            else torch.optim.Adam(
                self.discriminator.parameters(), DISCRIMINATOR_RATE, (0.9, 0.99), capturable=device.type == "cuda"
            )
        )
        self.teacher: Network | None = None

    @property
    def networks(self) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {"network": self.network, "average": self.average}
        return found if self.discriminator is None else {**found, "discriminator": self.discriminator}

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        found = {"optimizer": self.optimizer}
        return found if self.judge is None else {**found, "judge": self.judge}


@dataclass
class _Clock:
    """Progress of a run: by its steps, or by its time limit if that is shorter."""

    steps: int
    seconds: float | None
    first: int
    measuring: float = 0.0
    """Seconds spent in validations."""

    def __post_init__(self) -> None:
        self._begin = time.monotonic()

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
        return max(by_steps, before + (1 - before) * min(1.0, (time.monotonic() - self._begin) / self.seconds))

    def is_over(self, step: int) -> bool:
        return self.done(step) >= 1


class _Stepper:
    """Runs optimiser steps; on CUDA as a recorded graph, which needs hardly any processor time."""

    def __init__(
        self, recipe: Recipe, state: _State, network: nn.Module, crops: CropBank | CropStream, team: Team
    ) -> None:
        self._recipe, self._state, self._network, self._crops = recipe, state, network, crops
        self._device = team.device
        self._own = team.share(recipe.batch)
        self._has_bf16 = has_bf16_units(team.device)
        self._captures = team.device.type == "cuda" and team.size == 1 and isinstance(crops, CropBank)
        self._replay: Callable[[], None] | None = None
        self._graph: Any = None
        self._total = torch.zeros((), device=team.device)
        self._follow = torch.ones((), device=team.device)
        self._done = 0.0
        self._count = 0

    def begin(self, step: int, done: float) -> None:
        """Start a part of the run. Its crops depend only on the seed and on ``step``."""
        torch.manual_seed(self._recipe.seed * 1_000_003 + step)
        self._done, self._count = done, step
        self._total.zero_()
        if self._captures:
            self._replay = None
            self._capture()

    def take(self, rate: float) -> None:
        """Do the next step at learning rate ``rate``."""
        for group in self._state.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self._count += 1
        self._follow.fill_(1 / min(self._count, AVERAGE_OVER))
        if self._replay is None:
            self._step()
        else:
            self._replay()

    def wait(self) -> None:
        """Wait until the device has done all steps."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def loss_of(self, steps: int) -> float:
        """The mean loss over the ``steps`` since ``begin``."""
        return float(self._total) / max(1, steps)

    def _capture(self) -> None:
        """Record a step, after a few warm-up steps whose changes are undone."""
        kept = {id(tensor): tensor.detach().clone() for tensor in self._lasting()}
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        for tensor in self._lasting():
            if id(tensor) in kept:
                tensor.detach().copy_(kept[id(tensor)])
            else:  # The state that an optimiser creates in its first step starts at zero.
                tensor.detach().zero_()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._step()
        self._replay = self._graph.replay

    def _lasting(self) -> list[Tensor]:
        state = self._state
        tensors = [t for network in state.networks.values() for t in (*network.parameters(), *network.buffers())]
        for optimizer in state.optimizers.values():
            for values in optimizer.state.values():
                tensors += [value for value in values.values() if isinstance(value, Tensor)]
        return [*tensors, self._total]

    def _step(self) -> None:
        state = self._state
        crops = self._own_part(self._crops.draw(self._recipe.batch))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._has_bf16):
            outputs = outputs_of(self._network, crops.source, crops.q)
            outputs = tuple(output.float() for output in outputs)
            crops = self._taught(crops)
            loss = state.objective(outputs, crops, self._done)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), GRADIENT_NORM)
        state.optimizer.step()
        if state.judge is not None:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._has_bf16):
                judged = state.objective.discriminator_loss(tuple(output.detach() for output in outputs), crops.targets)
            state.judge.zero_grad(set_to_none=True)
            judged.backward()  # type: ignore[no-untyped-call]
            state.judge.step()
        with torch.no_grad():
            self._total.add_(loss.detach())
            average = [p.detach() for p in state.average.parameters()]
            away = torch._foreach_sub([p.detach() for p in state.network.parameters()], average)
            torch._foreach_mul_(away, self._follow)
            torch._foreach_add_(average, list(away))

    def _own_part(self, crops: Crops) -> Crops:
        own = self._own
        return Crops(crops.source[own], tuple(t[own] for t in crops.targets), crops.q[own], crops.weight[own])

    def _taught(self, crops: Crops) -> Crops:
        """``crops``; its originals are interpolated with a teacher's output (Hinton et al. 2015, arXiv 1503.02531).

        With squared error this has the same gradient as the weighted sum of both losses.
        """
        if self._state.teacher is None:
            return crops
        with torch.no_grad():
            answer = outputs_of(self._state.teacher, crops.source, crops.q)[0].float()
            taught = torch.lerp(crops.targets[0], answer, self._recipe.teacher_share)
            return replace(crops, targets=(taught, *crops.targets[1:]))


def to_working_format[N: nn.Module](network: N, device: torch.device) -> N:
    """Move to ``device`` in the fastest memory layout for convolutions."""
    return network.to(device).to(memory_format=torch.channels_last)


def check_runs(recipe: Recipe, runs: Path) -> None:
    """Check what `fit` needs of earlier runs, before the material is made.

    Raises:
        ValueError: The start, the teacher or the blend is not trained yet, the teacher has no recipe, or the run was
            begun with another recipe.
    """
    for name, role in ((recipe.start, "start"), (recipe.teacher, "teacher"), (recipe.blend, "blend")):
        if name is not None and not _weights(name, runs).exists() and not is_installed(name):
            raise ValueError(f"{name} cannot be the {role}: there is no {Run(runs / name).weights}; train it first")
    if recipe.teacher is not None:
        recipe_by_name(recipe.teacher)
    if recipe.steps and (checkpoint := Run(runs / recipe.name).checkpoint).exists():
        checkpoint_step(checkpoint, recipe.digest)


def _take_weights(network: Network, name: str, runs: Path, role: str = "start") -> None:
    from safetensors.torch import load_file

    path = _weights(name, runs)
    try:
        if path.exists():
            network.load_state_dict(load_file(path))
        else:
            take_installed(network, name)
    except SafetensorError as reason:
        raise ValueError(f"{path} is damaged ({reason}); remove it and train {name} again") from reason
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


def _weights(name: str, runs: Path) -> Path:
    """The file with the weights of the run ``name``; in `STARTS` if it is not among ``runs``."""
    path = Run(runs / name).weights
    return path if path.exists() else STARTS / f"{name}.safetensors"


def _teacher(recipe: Recipe, runs: Path, network: Network, device: torch.device) -> Network:
    assert recipe.teacher is not None
    teacher = recipe_by_name(recipe.teacher).make_network()
    _take_weights(teacher, recipe.teacher, runs, "teacher")
    if teacher.scale != network.scale:
        raise ValueError(f"{recipe.teacher} cannot be the teacher: it has scale {teacher.scale}")
    return to_working_format(teacher, device).eval().requires_grad_(False)


def _optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    if recipe.optimizer == "muon":
        return Muon(network, recipe.learning_rate)
    on_card = next(network.parameters()).is_cuda
    rate = torch.tensor(recipe.learning_rate, device="cuda") if on_card else recipe.learning_rate
    return torch.optim.Adam(network.parameters(), lr=rate, capturable=on_card, foreach=True)


def learning_rate(recipe: Recipe, step: int, done: float) -> float:
    """Linear warm-up, then half a cosine down to zero; ``done`` is the share of the run, 0 to 1."""
    warm = min(1.0, (step + 1) / max(1, recipe.warmup))
    return recipe.learning_rate * warm * (1 + math.cos(math.pi * min(1.0, done))) / 2


def has_bf16_units(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32: on current CUDA cards, and processors with AMX or AVX-512 BF16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(unit, False) for unit in ("amx_bf16", "avx512_bf16"))


def _progress(team: Team) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    gain = TextColumn("{task.fields[gain]}")
    return Progress(*columns, gain, console=Console(stderr=True), disable=not team.leads)
