"""The processes that train one network: those of ``torchrun``, or a single one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from train.networks.network import Network, outputs_of

# Other processes wait while the leader codes the material.
_LONGEST_WAIT: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Team:
    """The processes that share each step's crops evenly; each has the whole network."""

    device: torch.device
    """Device of this process."""
    rank: int = 0
    """Rank of this process, from 0."""
    size: int = 1
    """Number of processes."""

    @property
    def leads(self) -> bool:
        """Whether this process validates, logs and saves."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """The crops of a step for this process; ValueError if they cannot be divided evenly."""
        if batch % self.size:
            raise ValueError(f"a batch of {batch} crops cannot be shared evenly by {self.size} processes")
        own = batch // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def synchronised(self, network: Network) -> nn.Module:
        """``network`` with gradients averaged over all processes."""
        if self.size == 1:
            return network
        # An objective may use only the last output, and so none of the layers that make the others.
        return DistributedDataParallel(network, find_unused_parameters=_output_count(network) > 1)

    def mean(self, value: float) -> float:
        """The mean of each process's ``value``."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return total.item() / self.size

    def of_leader(self, value: float) -> float:
        """The leader's ``value``."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, 0)
        return shared.item()

    def average(self, network: nn.Module) -> None:
        """Average the gradients of ``network``, which `synchronised` does not wrap, over all processes."""
        if self.size == 1:
            return
        for parameter in network.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= self.size

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def team() -> Iterator[Team]:
    """The joined processes of ``torchrun``, or this process alone."""
    has_cuda = torch.cuda.is_available()
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Team(torch.device("cuda" if has_cuda else "cpu"))
        return
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if has_cuda else torch.device("cpu")
    if has_cuda:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if has_cuda else "gloo", timeout=_LONGEST_WAIT)
    try:
        yield Team(device, distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def processes_here() -> int:
    """The number of processes of ``torchrun`` on this machine, which share its memory; 1 without it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@torch.no_grad()
def _output_count(network: Network) -> int:
    """The number of outputs of ``network``, counted in a pass over a small picture."""
    device, side = next(network.parameters()).device, 12 * network.stride
    picture = torch.zeros(1, network.channels, side, side, device=device)
    return len(outputs_of(network, picture, torch.zeros(1, device=device)))
