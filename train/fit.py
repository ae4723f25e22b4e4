"""The training loop: a recipe in, weights and a log out; killed at any step, it goes on from its last checkpoint."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from train.crops import CropSampler, PlanePair
from train.networks.plain import PlainStack, to_working_format
from train.recipe import Recipe
from vs_srcomp.files import atomic_path

VALIDATE_EVERY = 1000
VALIDATION_CROP = 256
# Weights averaged over about this many steps generalise a little better than the last ones (Polyak averaging).
AVERAGE_OVER = 500
GRADIENT_NORM = 0.5
LOG_FIELDS = ("step", "learning_rate", "loss", "valid_gain_db")


class Diverged(RuntimeError):  # noqa: N818 - reads as what happened
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Run:
    """Where one training run keeps its files."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """Everything that is needed to go on."""
        return self.folder / "checkpoint.safetensors"

    @property
    def weights(self) -> Path:
        """The averaged weights of the finished run."""
        return self.folder / "weights.safetensors"

    @property
    def log(self) -> Path:
        """One row per validation."""
        return self.folder / "log.csv"


def fit(recipe: Recipe, train: list[PlanePair], valid: list[PlanePair], runs: Path, device: torch.device) -> PlainStack:
    """Train the network of ``recipe`` and return it with its averaged weights.

    Args:
        recipe: What to train, and how.
        train: Pictures to learn from.
        valid: Pictures to measure on, about every thousand steps.
        runs: Folder of all runs; this one's files go to a folder of the recipe's name in it.
        device: Where to compute. bfloat16 is used where the processor has matrix units for it.

    Raises:
        Diverged: The loss became infinite or not a number; the last checkpoint is from before that.
    """
    run = Run(runs / recipe.name)
    run.folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    network = to_working_format(PlainStack(recipe.stride, recipe.channels, recipe.layers), device)
    if recipe.start is not None:
        network.load_state_dict(load_file(Run(runs / recipe.start).weights, device=str(device)))
    average = to_working_format(PlainStack(recipe.stride, recipe.channels, recipe.layers), device)
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True)

    first_step = 0
    if run.checkpoint.exists():
        first_step = _restore(run.checkpoint, network, average, optimizer, device)
    _start_log(run.log, first_step)
    sampler = CropSampler(train, recipe.crop, recipe.seed)
    with _progress() as progress:
        bar = progress.add_task(recipe.name, completed=first_step, total=recipe.steps, gain="")
        losses = []
        for step in range(first_step, recipe.steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step)
            losses.append(_step(network, optimizer, sampler, recipe, step, device))
            _follow(average, network, 1 / min(step + 1, AVERAGE_OVER))
            progress.advance(bar)
            if (step + 1) % VALIDATE_EVERY == 0 or step + 1 == recipe.steps:
                loss, losses = float(np.mean(losses)), []
                if not math.isfinite(loss):
                    raise Diverged(f"{recipe.name}: the loss is {loss} at step {step + 1}; lower learning_rate")
                gain = validation_gain(average, valid, device)
                progress.update(bar, gain=f"{gain:+.3f} dB")
                _append_log(run.log, (step + 1, f"{learning_rate(recipe, step):.2e}", f"{loss:.5f}", f"{gain:.4f}"))
                _save(run.checkpoint, network, average, optimizer, step + 1)
    with atomic_path(run.weights) as path:
        save_file(_contiguous(average), path)
    return average


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


def _step(
    network: PlainStack,
    optimizer: torch.optim.Optimizer,
    sampler: CropSampler,
    recipe: Recipe,
    step: int,
    device: torch.device,
) -> float:
    degraded, original, weight = sampler.draw(step, recipe.batch)
    target = to_luma(original, device)
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16_units(device)):
        restored = network(to_luma(degraded, device))
    if step < recipe.l1_share * recipe.steps:
        loss = F.l1_loss(restored, target)
    else:
        # Scaled so that both losses have gradients of the same order.
        loss = 25 * ((restored - target).square() * torch.from_numpy(weight).to(device).view(-1, 1, 1, 1)).mean()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
    optimizer.step()
    return loss.item()


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
    for degraded, original in _middles(pairs, device):
        restored = (network(degraded).clamp(0, 1) * 255).round() / 255
        before, after = ((x - original).square().mean().item() for x in (degraded, restored))
        gains.append(10 * math.log10(before / after))
    return float(np.mean(gains))


@torch.no_grad()
def remove_drift(network: PlainStack, pairs: list[PlanePair], device: torch.device) -> None:
    """Make the network's residual zero on average over ``pairs``: restoring must not brighten or darken.

    Training leaves some hundredths of a code, which are the codec's own rounding undone.
    """
    drift = np.mean([(network(degraded) - degraded).mean().item() for degraded, _ in _middles(pairs, device)])
    network.shift_residual(-float(drift))


def _middles(pairs: list[PlanePair], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """The middle of each picture, degraded and original, as luma in 0..1."""
    for pair in pairs:
        window = tuple(
            slice(max(0, (size - VALIDATION_CROP) // 2), (size + VALIDATION_CROP) // 2) for size in pair.original.shape
        )
        yield to_luma(pair.degraded[window][None], device), to_luma(pair.original[window][None], device)


@torch.no_grad()
def _follow(average: PlainStack, network: PlainStack, share: float) -> None:
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, share)


def _save(path: Path, network: PlainStack, average: PlainStack, optimizer: torch.optim.Optimizer, step: int) -> None:
    tensors = {f"network.{name}": value for name, value in _contiguous(network).items()}
    tensors |= {f"average.{name}": value for name, value in _contiguous(average).items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value.contiguous() for name, value in state.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"step": str(step)})


def _restore(
    path: Path, network: PlainStack, average: PlainStack, optimizer: torch.optim.Optimizer, device: torch.device
) -> int:
    tensors = load_file(path, device=str(device))
    network.load_state_dict(_with_prefix(tensors, "network."))
    average.load_state_dict(_with_prefix(tensors, "average."))
    state: dict[int, dict[str, Tensor]] = {}
    parameters = list(network.parameters())
    for name, value in _with_prefix(tensors, "optimizer.").items():
        index, key = int(name.split(".")[0]), name.split(".")[1]
        if value.ndim:
            # The fused optimizer walks the memory of a parameter and of its moments side by side.
            value = torch.empty_like(parameters[index]).copy_(value)
        state.setdefault(index, {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(state[0]["step"].item())


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _contiguous(network: PlainStack) -> dict[str, Tensor]:
    return {name: value.detach().contiguous() for name, value in network.state_dict().items()}


def _start_log(path: Path, first_step: int) -> None:
    """Keep the rows up to ``first_step``: what came after the checkpoint is done again."""
    rows = []
    if path.exists():
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= first_step]
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, LOG_FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _append_log(path: Path, row: tuple[object, ...]) -> None:
    with path.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(row)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[gain]}"))
