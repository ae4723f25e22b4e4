"""Muon against the mathematics that it approximates, and against PyTorch's own for matrices."""

import torch
from torch import nn

from train.muon import HIDDEN_RATE, Muon, orthogonalised
from train.networks.plain import PlainStack


def network_and_parts() -> tuple[PlainStack, list[nn.Parameter], list[nn.Parameter]]:
    """A network, its kernels, and its other parameters."""
    torch.manual_seed(2)
    network = PlainStack(stride=2, channels=8, layers=4)
    parts: tuple[list[nn.Parameter], list[nn.Parameter]] = [], []
    for parameter in network.parameters():
        parts[parameter.ndim != 4].append(parameter)
    assert [len(part) for part in parts] == [4, 3]
    return network, *parts


def test_directions_stay_and_their_sizes_become_about_one() -> None:
    generator = torch.Generator().manual_seed(1)
    for shape in ((3, 8, 72), (2, 72, 8)):
        matrices = torch.randn(shape, generator=generator)
        made = orthogonalised(matrices)
        before, after = (torch.linalg.svd(each, full_matrices=False) for each in (matrices, made))
        assert 0.6 < after.S.min() < after.S.max() < 1.3
        # Each direction of the gradient is one of the update, with another size.
        found = torch.einsum("nor,noi,nri->nr", before.U, made, before.Vh)
        torch.testing.assert_close(found.sort().values, after.S.sort().values, rtol=1e-3, atol=1e-4)


def test_kernels_move_as_with_pytorchs_muon() -> None:
    network, kernels, _ = network_and_parts()
    rate = 1e-3
    matrices = [nn.Parameter(weight.detach().flatten(1).clone()) for weight in kernels]
    reference = torch.optim.Muon(matrices, lr=rate * HIDDEN_RATE, weight_decay=0, momentum=0.95, nesterov=True)
    optimizer = Muon(network, rate)
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
    network, _, others = network_and_parts()
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
