"""The optimiser Muon."""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

# Ratio of Muon's learning rate to Adam's, at which both change the weights of these networks by about as much.
HIDDEN_RATE = 10

_MOMENTUM = 0.95
_BETAS = (0.9, 0.99)
_EPSILON = 1e-8
# Coefficients of the odd polynomial iterated on the singular values, which quickly brings them to 0.7 to 1.2.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon for convolutions (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon), and Adam for the rest.

    An update is the momentum of the gradient with all singular values brought near 1, so that rare directions are
    learned as fast as common ones. PyTorch's own Muon takes only matrices; here the rows of a
    kernel's matrix are its first axis.

    Its state, including the learning rate, is in tensors on the parameters' device: a step can be captured as a graph.
    """

    def __init__(self, network: nn.Module, rate: float) -> None:
        """Optimise ``network``. ``rate`` is Adam's learning rate, which determines that of Muon."""
        kernels = [p for p in network.parameters() if p.ndim == 4 and min(p.shape[0], p[0].numel()) > 1]
        of_kernels = {id(weight) for weight in kernels}
        rest = [p for p in network.parameters() if id(p) not in of_kernels]
        groups = [{"params": kernels, "orthogonal": True}, {"params": rest, "orthogonal": False}]
        super().__init__([group for group in groups if group["params"]], {"lr": rate})
        for group in self.param_groups:
            group["lr"] = torch.tensor(rate, device=group["params"][0].device)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # the loss is not computed again
        """Update all parameters."""
        for group in self.param_groups:
            change = self._muon if group["orthogonal"] else self._adam
            change([p for p in group["params"] if p.grad is not None], group["lr"])

    def _muon(self, parameters: list[nn.Parameter], rate: Tensor) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        momenta = [self._of(p, "momentum") for p in parameters]
        torch._foreach_mul_(momenta, _MOMENTUM)
        torch._foreach_add_(momenta, gradients)
        # Nesterov momentum looks one step ahead.
        ahead = torch._foreach_add(gradients, momenta, alpha=_MOMENTUM)
        # Kernels of the same shape form a batch of matrices: far fewer, larger products.
        alike: dict[torch.Size, list[int]] = defaultdict(list)
        for index, parameter in enumerate(parameters):
            alike[parameter.shape].append(index)
        for shape, indices in alike.items():
            updates = orthogonalised(torch.stack([ahead[index].flatten(1) for index in indices]))
            for index, update in zip(indices, updates, strict=True):
                parameters[index].sub_(update.view(shape) * (HIDDEN_RATE * rate))

    def _adam(self, parameters: list[nn.Parameter], rate: Tensor) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        means = [self._of(p, "mean") for p in parameters]
        squares = [self._of(p, "square") for p in parameters]
        steps = [self._of(p, "step") for p in parameters]
        torch._foreach_add_(steps, 1)
        torch._foreach_lerp_(means, gradients, 1 - _BETAS[0])
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - _BETAS[1])
        for parameter, mean, square, step in zip(parameters, means, squares, steps, strict=True):
            unbiased = mean / (1 - _BETAS[0] ** step)
            parameter.sub_(rate * unbiased / ((square / (1 - _BETAS[1] ** step)).sqrt() + _EPSILON))

    def _of(self, parameter: nn.Parameter, name: str) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros((), device=parameter.device) if name == "step" else torch.zeros_like(parameter)
        found: Tensor = state[name]
        return found


def orthogonalised(matrices: Tensor) -> Tensor:
    """Bring the singular values of ``matrices`` (N, rows, columns) to 0.7 to 1.2."""
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalised(matrices.mT).mT
    rows = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + _EPSILON)
    if rows.is_cuda:
        rows = rows.bfloat16()
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        squares = rows @ rows.mT
        rows = a * rows + (b * squares + c * squares @ squares) @ rows
    found: Tensor = rows.to(matrices.dtype)
    return found
