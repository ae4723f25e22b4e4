"""Networks that depend on the level, as trained ones do: with their first weights they do not."""

import torch

from train.networks.interpolated import InterpolatedStack
from train.networks.plain import PlainStack


def awake_plain(stride: int, channels: int, layers: int, slope: float = 0.0) -> PlainStack:
    """A network whose scales and shifts differ at every knot."""
    torch.manual_seed(0)
    network = PlainStack(stride=stride, channels=channels, layers=layers, slope=slope)
    with torch.no_grad():
        network.gains.normal_(0, 0.2)
        network.shifts.normal_(0, 0.2)
        network.tail.weight.mul_(5)
        assert network.tail.bias is not None
        network.tail.bias.normal_(0, 0.1)
    return network


def awake_interpolated(stride: int, channels: int, layers: int, slope: float = 0.0) -> InterpolatedStack:
    """A network whose stacks all differ."""
    torch.manual_seed(0)
    network = InterpolatedStack(stride=stride, channels=channels, layers=layers, slope=slope)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network
