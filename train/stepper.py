"""One step of training, and what it reads and changes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.bf16 import has_bf16_units
from train.material.crops import CropBank, Crops
from train.material.stream import CropStream
from train.muon import Muon
from train.networks.network import Network, outputs_of
from train.parallel import Team
from train.recipe import Recipe

# Weights averaged over about this many steps generalise a little better than the last ones (Polyak averaging).
AVERAGE_OVER: Final = 500
GRADIENT_NORM: Final = 0.5
# Black of limited range, and how far from it, in pixels, Lanczos-5 rings at 2:1, and a network sees it.
_BLACK: Final = 16.5 / 255
_BESIDE: Final = 12

# Adam's learning rate for the discriminator of an adversarial objective.
DISCRIMINATOR_RATE: Final = 1e-4


class State:
    """What a step reads and changes; networks and optimisers are in the checkpoint."""

    def __init__(self, recipe: Recipe, network: Network, average: Network, device: torch.device) -> None:
        self.network, self.average = network, average.requires_grad_(False)
        self.objective = to_working_format(recipe.make_objective(), device)
        self.optimizer = _optimizer(recipe, network)
        self.discriminator = self.objective.discriminator
        self.discriminator_optimizer = (
            None
            if self.discriminator is None
            else torch.optim.Adam(
                self.discriminator.parameters(), DISCRIMINATOR_RATE, (0.9, 0.99), capturable=device.type == "cuda"
            )
        )
        self.teacher: Network | None = None

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks by their names in checkpoints."""
        found: dict[str, nn.Module] = {"network": self.network, "average": self.average}
        return found if self.discriminator is None else {**found, "discriminator": self.discriminator}

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimisers by their names in checkpoints."""
        found = {"optimizer": self.optimizer}
        return found if self.discriminator_optimizer is None else {**found, "judge": self.discriminator_optimizer}


class Stepper:
    """Runs optimiser steps; on CUDA as a recorded graph, which needs hardly any processor time."""

    def __init__(
        self, recipe: Recipe, state: State, network: nn.Module, crops: CropBank | CropStream, team: Team
    ) -> None:
        self._recipe, self._state, self._network, self._crops = recipe, state, network, crops
        self._team, self._device = team, team.device
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
        """Start a part of the run. Its crops depend only on the seed and on ``step``, unless they are streamed."""
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
        if state.discriminator_optimizer is not None:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._has_bf16):
                judged = state.objective.discriminator_loss(tuple(output.detach() for output in outputs), crops.targets)
            state.discriminator_optimizer.zero_grad(set_to_none=True)
            judged.backward()  # type: ignore[no-untyped-call]
            assert state.discriminator is not None
            self._team.average(state.discriminator)
            state.discriminator_optimizer.step()
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
            original, share = crops.targets[0], torch.tensor(self._recipe.teacher_share, device=answer.device)
            if self._recipe.teacher_spares_black:
                share = share * (1 - beside_black(original))
            return replace(crops, targets=(torch.lerp(original, answer, share), *crops.targets[1:]))


def beside_black(luma: Tensor) -> Tensor:
    """1 at pixels of ``luma``, (N, C, H, W) in 0..1, no farther than ``_BESIDE`` from black ones in either direction,
    else 0.
    """
    black, side = (luma <= _BLACK).float(), 2 * _BESIDE + 1
    # One direction after the other: as a square, it took longer than the rest of the step.
    return F.max_pool2d(F.max_pool2d(black, (1, side), 1, (0, _BESIDE)), (side, 1), 1, (_BESIDE, 0))


def to_working_format[N: nn.Module](network: N, device: torch.device) -> N:
    """Move to ``device`` in the fastest memory layout for convolutions."""
    return network.to(device).to(memory_format=torch.channels_last)


def _optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    if recipe.optimizer == "muon":
        return Muon(network, recipe.learning_rate)
    on_card = next(network.parameters()).is_cuda
    rate = torch.tensor(recipe.learning_rate, device="cuda") if on_card else recipe.learning_rate
    return torch.optim.Adam(network.parameters(), lr=rate, capturable=on_card, foreach=True)
