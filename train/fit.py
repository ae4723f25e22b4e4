"""The training loop: a recipe in, weights and a log out; killed at any step, it goes on from its last checkpoint."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional as F

from train.crops import CropSampler, PlanePair
from train.muon import Muon
from train.networks.plain import PlainStack, to_working_format
from train.parallel import Team
from train.recipe import Recipe
from train.run import Run, append_log, draw_curves, load_checkpoint, save_checkpoint, save_weights, start_log
from train.trained import load_trained

VALIDATE_EVERY = 1000
VALIDATION_CROP = 256
# Weights averaged over about this many steps generalise a little better than the last ones (Polyak averaging).
AVERAGE_OVER = 500
GRADIENT_NORM = 0.5


class Diverged(RuntimeError):  # noqa: N818 - reads as what happened
    """The loss is no longer a number."""


def fit(recipe: Recipe, train: list[PlanePair], valid: list[PlanePair], runs: Path, team: Team) -> PlainStack:
    """Train the network of ``recipe`` and return it with its averaged weights.

    Args:
        recipe: What to train, and how.
        train: Pictures to learn from.
        valid: Pictures to measure on, about every thousand steps.
        runs: Folder of all runs; this one's files go to a folder of the recipe's name in it.
        team: The processes that train together. bfloat16 is used where the device has units for it. Any number of
            processes draws the same crops in each step, so that the result does not depend on it but for rounding.

    Raises:
        Diverged: The loss became infinite or not a number; the last checkpoint is from before that.
        ValueError: There is no network to start or to learn from, or it has another form; or the batch cannot be
            shared evenly.
    """
    run, device = Run(runs / recipe.name), team.device
    run.folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    network = to_working_format(PlainStack(recipe.stride, recipe.channels, recipe.layers), device)
    if recipe.start is not None:
        _warm_start(network, recipe.start, runs)
    average = to_working_format(PlainStack(recipe.stride, recipe.channels, recipe.layers), device)
    average.load_state_dict(network.state_dict())
    teacher = None
    if recipe.teacher is not None:
        teacher = to_working_format(load_trained(recipe.teacher, runs), device).requires_grad_(False)
    optimizer = _optimizer(recipe, network)
    networks = {"network": network, "average": average}

    first_step = load_checkpoint(run.checkpoint, networks, optimizer, device) if run.checkpoint.exists() else 0
    team.wait()
    if team.leads:
        start_log(run.log, first_step)
    sampler = CropSampler(train, recipe.crop, recipe.seed)
    learner = Learner(recipe, team.synchronised(network), teacher, optimizer, sampler, team)
    with _progress(team) as progress:
        bar = progress.add_task(recipe.name, completed=first_step, total=recipe.steps, gain="")
        losses = []
        for step in range(first_step, recipe.steps):
            losses.append(learner.take_step(step))
            _follow(average, network, 1 / min(step + 1, AVERAGE_OVER))
            progress.advance(bar)
            if (step + 1) % VALIDATE_EVERY == 0 or step + 1 == recipe.steps:
                loss, losses = team.mean(float(np.mean(losses))), []
                if not math.isfinite(loss):
                    raise Diverged(f"{recipe.name}: the loss is {loss} at step {step + 1}; lower learning_rate")
                if team.leads:
                    gain = validation_gain(average, valid, device)
                    progress.update(bar, gain=f"{gain:+.3f} dB")
                    append_log(run.log, (step + 1, f"{learning_rate(recipe, step):.2e}", f"{loss:.5f}", f"{gain:.4f}"))
                    draw_curves(run.log, run.curves, recipe.name)
                    save_checkpoint(run.checkpoint, networks, optimizer, step + 1)
    if team.leads:
        save_weights(run.weights, average)
    # Another run may start from these weights.
    team.wait()
    return average


def _warm_start(network: PlainStack, name: str, runs: Path) -> None:
    start = load_trained(name, runs)
    try:
        network.grow_from(start)
    except ValueError as reason:
        raise ValueError(f"{name} cannot be the start: {reason}") from reason


def _optimizer(recipe: Recipe, network: PlainStack) -> torch.optim.Optimizer:
    if recipe.optimizer != "adam":
        return Muon(network, recipe.learning_rate, everywhere=recipe.optimizer == "muon-everywhere")
    return torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


class Learner:
    """One optimiser step after the other on one network."""

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        teacher: PlainStack | None,
        optimizer: torch.optim.Optimizer,
        sampler: CropSampler,
        team: Team,
    ) -> None:
        """Teach ``network``, which is synchronised over ``team``, with the crops of ``sampler``."""
        self._recipe = recipe
        self._network = network
        self._teacher = teacher
        self._optimizer = optimizer
        self._sampler = sampler
        self._device = team.device
        self._own = team.share(recipe.batch)

    def take_step(self, step: int) -> float:
        """Do step number ``step``; returns the loss over this process's crops."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._recipe, step)
        degraded, original, weight = self._sampler.draw(step, self._recipe.batch)
        source = to_luma(degraded[self._own], self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=has_bf16_units(self._device)):
            target = self._target(source, to_luma(original[self._own], self._device))
            restored = self._network(source)
        if step < self._recipe.l1_share * self._recipe.steps:
            loss = F.l1_loss(restored, target)
        else:
            # Scaled so that both losses have gradients of the same order.
            weights = torch.from_numpy(weight[self._own]).to(self._device).view(-1, 1, 1, 1)
            loss = 25 * ((restored - target).square() * weights).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), GRADIENT_NORM)
        self._optimizer.step()
        return loss.item()

    def _target(self, source: Tensor, original: Tensor) -> Tensor:
        """The original, or what lies between it and the teacher's answer (Hinton et al. 2015, arXiv 1503.02531).

        With squared error this has the same gradient as the weighted sum of both losses.
        """
        if self._teacher is None:
            return original
        with torch.no_grad():
            return torch.lerp(original, self._teacher(source), self._recipe.teacher_share)


def to_luma(codes: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(N, H, W) 8-bit codes as (N, 1, H, W) luma in 0..1."""
    return torch.from_numpy(codes).to(device).unsqueeze(1).float() / 255


def has_bf16_units(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there: CUDA cards of today, processors with AMX or AVX-512 BF16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(unit, False) for unit in ("amx_bf16", "avx512_bf16"))


@torch.no_grad()
def validation_gain(network: PlainStack, pairs: list[PlanePair], device: torch.device) -> float:
    """Mean gain in PSNR over the degraded pictures, in dB, on the middle of each picture."""
    gains = []
    for degraded, original in middles(pairs, device):
        restored = (network(degraded).clamp(0, 1) * 255).round() / 255
        before, after = ((x - original).square().mean().item() for x in (degraded, restored))
        gains.append(10 * math.log10(before / after))
    return float(np.mean(gains))


@torch.no_grad()
def remove_drift(network: PlainStack, pairs: list[PlanePair], device: torch.device) -> None:
    """Make the network's residual zero on average over ``pairs``: restoring must not brighten or darken.

    Training leaves some hundredths of a code, which are the codec's own rounding undone.
    """
    drift = np.mean([(network(degraded) - degraded).mean().item() for degraded, _ in middles(pairs, device)])
    network.shift_residual(-float(drift))


def middles(
    pairs: list[PlanePair], device: torch.device, crop: int = VALIDATION_CROP
) -> Iterator[tuple[Tensor, Tensor]]:
    """The middle of each picture, ``crop`` pixels wide and high at most, degraded and original, as luma in 0..1."""
    for pair in pairs:
        window = tuple(slice(max(0, (size - crop) // 2), (size + crop) // 2) for size in pair.original.shape)
        yield to_luma(pair.degraded[window][None], device), to_luma(pair.original[window][None], device)


@torch.no_grad()
def _follow(average: PlainStack, network: PlainStack, share: float) -> None:
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, share)


def _progress(team: Team) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[gain]}"), disable=not team.leads)
