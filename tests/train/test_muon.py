"""Muon against the mathematics that it approximates, and against PyTorch's own for matrices."""

import pytest
import torch
from torch import nn

from train.muon import HIDDEN_RATE, Muon, orthogonalised
from train.networks.plain import PlainStack


def test_directions_stay_and_their_sizes_become_about_one() -> None:
    kernel = torch.randn(8, 8, 3, 3, generator=torch.Generator().manual_seed(1))
    before, after = (
        torch.linalg.svd(each.flatten(1), full_matrices=False) for each in (kernel, orthogonalised(kernel))
    )
    assert 0.6 < after.S.min() < after.S.max() < 1.3
    # Each direction of the gradient is one of the update, with another size.
    found = torch.einsum("or,oi,ri->r", before.U, orthogonalised(kernel).flatten(1), before.Vh)
    torch.testing.assert_close(found.sort().values, after.S.sort().values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("everywhere", [False, True])
def test_kernels_move_as_with_pytorchs_muon(everywhere: bool) -> None:
    torch.manual_seed(2)
    network = PlainStack(2, 8, 4)
    rate = 1e-3
    kernels = [weight for name, weight in network.named_parameters() if weight.ndim == 4]
    kernels = kernels if everywhere else kernels[1:-1]
    matrices = [nn.Parameter(weight.detach().flatten(1).clone()) for weight in kernels]
    reference = torch.optim.Muon(matrices, lr=rate * HIDDEN_RATE, weight_decay=0, momentum=0.95, nesterov=True)
    optimizer = Muon(network, rate, everywhere=everywhere)
    for _ in range(3):
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        for matrix, weight in zip(matrices, kernels, strict=True):
            assert weight.grad is not None
            matrix.grad = weight.grad.flatten(1).clone()
        optimizer.step()
        reference.step()  # type: ignore[no-untyped-call]
    for matrix, weight in zip(matrices, kernels, strict=True):
        # PyTorch iterates in bfloat16.
        torch.testing.assert_close(weight.flatten(1), matrix, atol=rate * HIDDEN_RATE * 0.02, rtol=0)


def test_the_other_parameters_move_as_with_adam() -> None:
    torch.manual_seed(3)
    network = PlainStack(2, 8, 4)
    others = [parameter for name, parameter in network.named_parameters() if "body" not in name or "bias" in name]
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in others]
    reference = torch.optim.Adam(copies, lr=1e-3, betas=(0.9, 0.99))
    optimizer = Muon(network, 1e-3)
    for _ in range(3):
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        for copy, parameter in zip(copies, others, strict=True):
            assert parameter.grad is not None
            copy.grad = parameter.grad.clone()
        optimizer.step()
        reference.step()
    for copy, parameter in zip(copies, others, strict=True):
        torch.testing.assert_close(parameter, copy)
