"""The interpolated stack against plain convolutions, and its exported file against the network."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from tests.train.networks.awake import awake_interpolated
from train.networks.interpolated import InterpolatedStack
from train.networks.plain import PlainStack
from train.onnx_levels import levels_to_onnx
from vs_srcomp.models.level import at_level

LEVELS = (5.0, 20.0, 27.5, 40.0, 50.0, 63.0)


def convolved(
    luma: torch.Tensor, kernels: list[tuple[torch.Tensor, torch.Tensor]], network: InterpolatedStack
) -> torch.Tensor:
    features = luma
    for index, (weight, bias) in enumerate(kernels):
        step = network.stride if index == 0 else 1
        features = F.conv2d(features, weight, bias, step, weight.shape[-1] // 3)
        if index < len(kernels) - 1:
            features = F.leaky_relu(features, network.slope)
    return luma + F.pixel_shuffle(features, network.stride)


@pytest.mark.parametrize(("stride", "slope"), [(2, 0.1), (4, 0.0)])
def test_at_a_level_it_is_a_stack_of_convolutions_whose_kernels_are_interpolated(stride: int, slope: float) -> None:
    network = awake_interpolated(stride, 8, 4, slope)
    luma = torch.rand(1, 1, 12 * stride, 12 * stride)
    tables = network.kernels()
    for q in LEVELS:
        place = np.clip((q - 20) / 10, 0, 3)
        low = min(int(place), 2)
        share = float(place - low)
        kernels = [tuple(t[low] * (1 - share) + t[low + 1] * share for t in pair) for pair in tables]
        expected = convolved(luma, kernels, network)  # type: ignore[arg-type]
        torch.testing.assert_close(network(luma, torch.tensor([q])), expected, atol=1e-5, rtol=0)
        assert (expected - luma).abs().max() > 1e-2


def test_it_begins_as_one_network_for_all_levels() -> None:
    network = InterpolatedStack(stride=2, channels=8, layers=4, slope=0.1)
    luma = torch.rand(1, 1, 16, 16)
    restored = [network(luma, torch.tensor([q])) for q in LEVELS]
    for other in restored[1:]:
        torch.testing.assert_close(other, restored[0])


def test_it_equals_a_plain_stack_at_its_levels_when_it_takes_that() -> None:
    network = InterpolatedStack(stride=2, channels=8, layers=4, slope=0.1)
    plain = PlainStack(stride=2, channels=8, layers=4, slope=0.1)
    torch.manual_seed(7)
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    network.take_plain(lambda new: new.load_state_dict(plain.state_dict()))
    luma = torch.rand(4, 1, 24, 16)
    q = torch.tensor(network.levels)
    torch.testing.assert_close(network(luma, q), plain(luma, q), atol=1e-5, rtol=0)
    assert (plain(luma, q) - plain(luma, q.flip(0))).abs().max() > 1e-2


def test_kernels_that_are_set_are_those_that_it_has() -> None:
    network, other = awake_interpolated(4, 8, 4), InterpolatedStack(stride=4, channels=8, layers=4)
    tables = network.kernels()
    other.set_kernels([[(weights[k], biases[k]) for weights, biases in tables] for k in range(4)])
    for mine, given in zip(other.kernels(), tables, strict=True):
        torch.testing.assert_close(mine, given)


@pytest.mark.parametrize(("stride", "channels", "layers", "slope"), [(2, 8, 3, 0.1), (4, 8, 5, 0.0)])
def test_the_exported_file_computes_the_same_with_the_level_and_at_one(
    stride: int, channels: int, layers: int, slope: float
) -> None:
    network = awake_interpolated(stride, channels, layers, slope)
    luma = torch.rand(2, 1, 10 * stride, 8 * stride)
    given = onnxruntime.InferenceSession(levels_to_onnx(network, "test"), providers=["CPUExecutionProvider"])
    assert [(each.name, each.shape) for each in given.get_inputs()] == [("degraded", ["N", 1, "H", "W"]), ("q", [1])]
    for level in LEVELS:
        expected = network(luma, torch.full((2,), level)).detach().numpy()
        (restored,) = given.run(None, {"degraded": luma.numpy(), "q": np.full(1, level, np.float32)})
        # Kernels are in half precision there.
        np.testing.assert_allclose(restored, expected, atol=1e-3 * np.abs(expected - luma.numpy()).max())
        alone = onnxruntime.InferenceSession(
            at_level(levels_to_onnx(network, "test"), level), providers=["CPUExecutionProvider"]
        )
        assert [each.name for each in alone.get_inputs()] == ["degraded"]
        (restored,) = alone.run(None, {"degraded": luma.numpy()})
        np.testing.assert_allclose(restored, expected, atol=1e-3 * np.abs(expected - luma.numpy()).max())


def test_receptive_field_and_cost_are_those_of_one_stack() -> None:
    network = awake_interpolated(2, 8, 3)
    assert network.receptive_field == 2 * (2 * 3 + 1)
    assert network.macs_per_pixel == (8 * 36 + 8 * 8 * 9 + 4 * 8 * 9) / 4
    kernels = network.kernels_at(33)
    assert network.parameter_count == 4 * sum(weight.numel() + bias.numel() for weight, bias in kernels)


def test_what_is_added_to_the_residual_is_added_at_every_level() -> None:
    network = awake_interpolated(2, 8, 3)
    luma, q = torch.rand(2, 1, 16, 16), torch.tensor([25.0, 50.0])
    before = network(luma, q)
    network.shift_residual(0.125)
    torch.testing.assert_close(network(luma, q), before + 0.125)


@pytest.mark.parametrize("levels", [(20,), (20, 30, 50), (30, 20)])
def test_levels_that_do_not_rise_in_equal_steps_are_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="equal steps"):
        InterpolatedStack(levels=levels)
