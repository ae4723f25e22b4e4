"""Features of like ranges: the same network, of which 8-bit integers lose less.

A layer's features share one scale in integers, so that the channel with the widest range decides how coarse all others
become.
"""

import copy

import torch
from torch import Tensor

from train.fit import middles
from train.material.crops import PlanePair
from train.networks.plain import PlainStack

# What has no range has no scale either.
_SMALLEST = 1e-8


@torch.no_grad()
def equalized(network: PlainStack, pictures: list[PlanePair]) -> PlainStack:
    """A network that computes the same, with each channel scaled until its range equals the norm of what reads it.

    A factor passes LeakyReLU, so that what is divided out of a channel's weights can be multiplied into those of the
    next layer (Nagel et al. 2019, arXiv 1906.04721). The factor lies half way, as in SmoothQuant (Xiao et al. 2022,
    arXiv 2211.10438), but to the norm of the next layer's weights for the channel instead of their range: rounding
    adds like noise to all channels, and that is what it is multiplied by.

    Args:
        network: What to scale; it is not changed.
        pictures: To measure ranges on; their middles are used. Not those of a test set.
    """
    scaled = copy.deepcopy(network)
    layers = [scaled.head, *scaled.body, scaled.tail]
    ranges = _feature_ranges(scaled, pictures)
    for layer, following, seen in zip(layers, layers[1:], ranges, strict=False):
        norms = following.weight.square().sum((0, 2, 3)).sqrt()
        factors = (seen.clamp_min(_SMALLEST) / norms.clamp_min(_SMALLEST)).sqrt()
        layer.weight /= factors.view(-1, 1, 1, 1)
        layer.bias /= factors
        following.weight *= factors.view(1, -1, 1, 1)
    return scaled


def _feature_ranges(network: PlainStack, pictures: list[PlanePair]) -> list[Tensor]:
    """The highest magnitude of each channel behind each layer but the last."""
    highest = [torch.zeros(network.head.out_channels) for _ in (network.head, *network.body)]
    for degraded, _ in middles(pictures, torch.device("cpu")):
        for index, features in enumerate(network.features(degraded)):
            highest[index] = torch.maximum(highest[index], features.abs().amax((0, 2, 3)))
    return highest
