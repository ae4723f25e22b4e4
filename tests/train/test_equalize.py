from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.train.test_fit import blurred_pairs
from train.equalize import equalized
from train.fit import middles
from train.networks.plain import PlainStack


@pytest.fixture
def uneven() -> PlainStack:
    """A network in which one channel of each layer reaches a hundred times as far as the others."""
    torch.manual_seed(0)
    network = PlainStack(2, 8, 4)
    layers = [network.head, *network.body, network.tail]
    with torch.no_grad():
        for layer, following in pairwise(layers):
            layer.weight[3] *= 100
            following.weight[:, 3] /= 100
    return network


def test_it_computes_the_same(uneven: PlainStack) -> None:
    luma = torch.rand(2, 1, 32, 48)
    before = [parameter.clone() for parameter in uneven.parameters()]
    with torch.no_grad():
        torch.testing.assert_close(equalized(uneven, blurred_pairs())(luma), uneven(luma))
    assert all(torch.equal(*both) for both in zip(before, uneven.parameters(), strict=True))


def test_the_last_features_reach_as_far_as_the_norms_of_what_reads_them(uneven: PlainStack) -> None:
    network = equalized(uneven, blurred_pairs())
    torch.testing.assert_close(ranges(network)[-1], network.tail.weight.square().sum((0, 2, 3)).sqrt())


def test_no_channel_reaches_far_beyond_the_others(uneven: PlainStack) -> None:
    assert all(seen.max() > 10 * seen.median() for seen in ranges(uneven))
    assert all(seen.max() < 2 * seen.median() for seen in ranges(equalized(uneven, blurred_pairs())))


def test_a_channel_that_is_always_zero_stays_finite(uneven: PlainStack) -> None:
    with torch.no_grad():
        for parameter in uneven.head.parameters():
            parameter[5] = 0
        uneven.tail.weight[:, 2] = 0
    assert all(parameter.isfinite().all() for parameter in equalized(uneven, blurred_pairs()).parameters())


@torch.no_grad()
def ranges(network: PlainStack) -> list[Tensor]:
    """The highest magnitude of each channel, layer by layer."""
    of_pictures = [list(network.features(luma)) for luma, _ in middles(blurred_pairs(), torch.device("cpu"))]
    return [torch.cat(features).abs().amax((0, 2, 3)) for features in zip(*of_pictures, strict=True)]
