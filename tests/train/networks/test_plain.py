"""The plain stack against an independent computation, and its exported file against the network."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from tests.tolerances import FLOAT32_CONSTANTS
from tests.train.networks.awake import awake_plain
from train.networks.plain import KNOTS, MEAN, RESIDUAL_SCALE, SPREAD, hats
from train.onnx_levels import levels_to_onnx
from vs_srcomp.models.level import at_level

LEVELS = (5.0, 10.0, 20.0, 37.5, 60.0, 63.0)


def interpolated(table: torch.Tensor, q: float) -> torch.Tensor:
    """Of a table by knot, [knots, ...], its value at ``q``; beyond the knots that of the nearest."""
    flat = table.detach().reshape(len(KNOTS), -1).numpy()
    columns = [np.interp(q, KNOTS, column) for column in flat.T]
    return torch.tensor(columns, dtype=torch.float32).reshape(table.shape[1:])


@pytest.mark.parametrize(("stride", "slope"), [(2, 0.0), (3, 0.1), (4, 0.0)])
def test_it_is_space_to_depth_and_3x3_convolutions_on_centred_luma_scaled_by_level(stride: int, slope: float) -> None:
    network = awake_plain(stride, 8, 4, slope)
    luma = torch.rand(1, 1, 12 * stride, 12 * stride)
    # The same first layer on the coarse grid: a 3s x 3s kernel holds a 3x3 one of s x s blocks.
    weight = network.head.weight.view(8, 3, stride, 3, stride).permute(0, 2, 4, 1, 3).reshape(8, stride**2, 3, 3)
    kernels = [weight, *(layer.weight for layer in network.body)]
    for q in LEVELS:
        gains, shifts = interpolated(network.gains, q), interpolated(network.shifts, q)
        features = F.pixel_unshuffle((luma - MEAN) / SPREAD, stride)
        for index, kernel in enumerate(kernels):
            features = F.conv2d(features, kernel, padding=1)  # type: ignore[arg-type]
            features = features * (1 + gains[index])[:, None, None] + shifts[index][:, None, None]
            features = F.leaky_relu(features, slope)
        expected = luma + RESIDUAL_SCALE * F.pixel_shuffle(network.tail(features), stride)
        # The border differs by design: the network pads plain luma with zeros, this pads centred luma.
        margin = 4 * stride
        inside = np.s_[..., margin:-margin, margin:-margin]
        assert expected[inside].numel() > 0
        assert torch.allclose(network(luma, torch.tensor([q]))[inside], expected[inside], **FLOAT32_CONSTANTS)
        assert (expected - luma).abs().max() > 1e-2


def test_interpolation_passes_through_the_knots_and_holds_beyond_them() -> None:
    knots = torch.tensor(KNOTS)
    torch.testing.assert_close(hats(knots, knots), torch.eye(len(KNOTS)))
    torch.testing.assert_close(hats(torch.tensor([0.0, 63.0]), knots), torch.eye(len(KNOTS))[[0, -1]])
    between = hats(torch.linspace(0, 63, 64), knots)
    torch.testing.assert_close(between.sum(1), torch.ones(64))
    assert ((between > 0).sum(1) <= 2).all()


@pytest.mark.parametrize(("stride", "channels", "layers", "slope"), [(2, 8, 3, 0.0), (3, 12, 4, 0.1), (4, 8, 5, 0.0)])
def test_the_exported_file_computes_the_same_with_the_level_and_at_one(
    stride: int, channels: int, layers: int, slope: float
) -> None:
    network = awake_plain(stride, channels, layers, slope)
    luma = torch.rand(len(LEVELS), 1, 10 * stride, 8 * stride)
    q = torch.tensor(LEVELS)
    expected = network(luma, q).detach().numpy()
    session = onnxruntime.InferenceSession(levels_to_onnx(network, "test"), providers=["CPUExecutionProvider"])
    assert [(each.name, each.shape) for each in session.get_inputs()] == [
        ("degraded", ["N", 1, "H", "W"]),
        ("q", ["N"]),
    ]
    (restored,) = session.run(None, {"degraded": luma.numpy(), "q": q.numpy()})
    np.testing.assert_allclose(restored, expected, **FLOAT32_CONSTANTS)
    assert np.abs(expected - luma.numpy()).max() > 1e-3
    for index, level in enumerate(LEVELS):
        session = onnxruntime.InferenceSession(
            at_level(levels_to_onnx(network, "test"), level), providers=["CPUExecutionProvider"]
        )
        assert [each.name for each in session.get_inputs()] == ["degraded"]
        (restored,) = session.run(None, {"degraded": luma[index : index + 1].numpy()})
        np.testing.assert_allclose(restored, expected[index : index + 1], **FLOAT32_CONSTANTS)


@pytest.mark.parametrize("stride", [2, 4])
def test_receptive_field_and_cost_are_as_stated(stride: int) -> None:
    network = awake_plain(stride, 8, 3)
    luma = torch.rand(1, 1, 32 * stride, 32 * stride, requires_grad=True)
    middle = 16 * stride
    rows: set[int] = set()
    for offset in range(stride):
        given = network(luma, torch.tensor([30.0])) - luma
        (gradient,) = torch.autograd.grad(given[0, 0, middle + offset, middle], luma)
        row = gradient[0, 0].abs().sum(dim=1).nonzero().flatten() - offset
        rows |= set(row.tolist())
    # The square is centred on the pixel: it reaches as far as the farthest of all places in a cell does.
    reach = max(middle - min(rows), max(rows) - middle)
    assert network.receptive_field == 2 * reach
    expected = (8 * (3 * stride) ** 2 + 8 * 8 * 9 + stride**2 * 8 * 9) / stride**2
    assert network.macs_per_pixel == expected


def test_what_is_added_to_the_residual_is_added_everywhere() -> None:
    network = awake_plain(2, 8, 3)
    luma, q = torch.rand(1, 1, 16, 16), torch.tensor([25.0])
    before = network(luma, q)
    network.shift_residual(0.125)
    torch.testing.assert_close(network(luma, q), before + 0.125)
