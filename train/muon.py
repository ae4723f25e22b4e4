"""Muon, an optimiser that learns in all directions of a layer at once."""

from typing import Any

import torch
from torch import Tensor

from train.networks.plain import PlainStack

# Of Muon's rate to Adam's: both then change a weight of these networks by about as much.
HIDDEN_RATE = 10

_MOMENTUM = 0.95
_BETAS = (0.9, 0.99)
_EPSILON = 1e-8
# Of the odd polynomial that is iterated on the singular values: they end between 0.7 and 1.2, and soon.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon for the hidden convolutions (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon), and Adam.

    An update is the momentum of the gradient with all its singular values brought near 1, so that rare directions are
    learned as fast as common ones. PyTorch's own Muon takes matrices only; a convolution's kernel is one here, with a
    row for each output channel.

    On a grid of a quarter of the resolution, the first and the last layer are as large as hidden ones and learn better
    in this way too.
    """

    def __init__(self, network: PlainStack, rate: float, *, everywhere: bool = False) -> None:
        """Learn ``network`` at Adam's learning rate ``rate``; that of Muon follows it.

        Args:
            network: What learns.
            rate: Of Adam, for everything that Muon is not for.
            everywhere: Whether Muon is for the weights of the first and the last layer too.
        """
        kernels = [layer.weight for layer in network.body]
        if everywhere:
            kernels = [network.head.weight, *kernels, network.tail.weight]
        of_kernels = {id(weight) for weight in kernels}
        rest = [parameter for parameter in network.parameters() if id(parameter) not in of_kernels]
        super().__init__([{"params": kernels, "orthogonal": True}, {"params": rest, "orthogonal": False}], {"lr": rate})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # the loss is not computed again
        """Change every parameter by its gradient."""
        with torch.no_grad():
            for group in self.param_groups:
                change = self._muon if group["orthogonal"] else self._adam
                for parameter in group["params"]:
                    state = self.state[parameter]
                    state.setdefault("step", torch.zeros(()))
                    state["step"] += 1
                    parameter.sub_(change(parameter.grad, state), alpha=group["lr"])

    @staticmethod
    def _muon(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        momentum = state.setdefault("momentum", torch.zeros_like(gradient))
        momentum.mul_(_MOMENTUM).add_(gradient)
        # Nesterov's form looks one step ahead.
        return HIDDEN_RATE * orthogonalised(gradient + _MOMENTUM * momentum)

    @staticmethod
    def _adam(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
        mean = state.setdefault("mean", torch.zeros_like(gradient))
        square = state.setdefault("square", torch.zeros_like(gradient))
        mean.lerp_(gradient, 1 - _BETAS[0])
        square.lerp_(gradient.square(), 1 - _BETAS[1])
        steps = int(state["step"])
        unbiased_mean, unbiased_square = (
            moment / (1 - beta**steps) for moment, beta in zip((mean, square), _BETAS, strict=True)
        )
        return unbiased_mean / (unbiased_square.sqrt() + _EPSILON)


def orthogonalised(kernel: Tensor) -> Tensor:
    """``kernel`` (O, I, h, w), not more rows than columns, as O rows: its singular values all brought to 0.7 to 1.2."""
    rows: Tensor = kernel.flatten(1)
    rows = rows / (rows.norm() + _EPSILON)
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        squares = rows @ rows.T
        rows = a * rows + (b * squares + c * squares @ squares) @ rows
    return rows.view_as(kernel)
