from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
import torch

from tests.tolerances import FLOAT32_TRAINED
from train.equalize import equalized
from train.networks.interpolated import InterpolatedStack
from train.networks.plain import PlainStack
from train.onnx_levels import levels_to_onnx
from train.ranges import CROP, channel_peaks, cut
from vs_srcomp.models.level import at_level


@pytest.fixture
def uneven() -> PlainStack:
    """A network in which one channel of each layer reaches thirty times as far as the others, at every level."""
    torch.manual_seed(0)
    network = PlainStack(stride=2, channels=8, layers=4)
    layers = [network.head, *network.body, network.tail]
    with torch.no_grad():
        network.gains.normal_(0, 0.1)
        network.shifts.normal_(0, 0.1)
        for index, (layer, following) in enumerate(pairwise(layers)):
            layer.weight[3] *= 30
            network.shifts[:, index, 3] *= 30
            following.weight[:, 3] /= 30
    return network


def planes() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (CROP, CROP + 40)).astype(np.uint8) for _ in range(2)]


def run(network: bytes, q: float) -> np.ndarray:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    luma = (cut(planes()[0], (0, 0)) / 255).astype(np.float32)[None, None]
    return np.asarray(session.run(None, {"degraded": luma, "q": np.full(1, q, np.float32)})[0])


@pytest.mark.parametrize("q", [12.0, 30.0, 44.5])
def test_it_computes_the_same_at_every_level(uneven: PlainStack, q: float) -> None:
    peaks = channel_peaks(at_level(levels_to_onnx(uneven, "test"), 30), planes())
    before = levels_to_onnx(uneven, "test")
    after = equalized(before, peaks)
    assert after != before
    np.testing.assert_allclose(run(after, q), run(before, q), **FLOAT32_TRAINED)


@pytest.mark.parametrize("q", [12.0, 30.0, 44.5])
def test_kernels_of_all_levels_are_scaled_alike(q: float) -> None:
    torch.manual_seed(0)
    network = InterpolatedStack(stride=2, channels=8, layers=4, slope=0.1)
    with torch.no_grad():
        for stack in network.stacks:
            layers = [layer for layer in stack.children() if isinstance(layer, torch.nn.Conv2d)]
            for layer, following in pairwise(layers):
                layer.weight += 0.05 * torch.randn_like(layer.weight)
                layer.weight[3] *= 30
                following.weight[:, 3] /= 30
    peaks = channel_peaks(at_level(levels_to_onnx(network, "test"), 30), planes())
    assert all(seen.max() > 5 * np.median(seen) for seen in peaks)
    before = levels_to_onnx(network, "test")
    after = equalized(before, peaks)
    assert after != before
    np.testing.assert_allclose(run(after, q), run(before, q), atol=2e-3)
    even = channel_peaks(at_level(after, 30), planes())
    assert all(seen.max() < 1.1 * np.median(seen) for seen in even)


def test_all_channels_reach_equally_far(uneven: PlainStack) -> None:
    network = levels_to_onnx(uneven, "test")
    peaks = channel_peaks(at_level(network, 30), planes())
    assert all(seen.max() > 10 * np.median(seen) for seen in peaks)
    for seen in channel_peaks(at_level(equalized(network, peaks), 30), planes()):
        np.testing.assert_allclose(seen[seen > 0], seen.max(), rtol=1e-2)


def test_a_channel_that_is_always_zero_stays_finite(uneven: PlainStack) -> None:
    with torch.no_grad():
        uneven.head.weight[5] = 0
        uneven.shifts[:, 0, 5] = -1
    network = levels_to_onnx(uneven, "test")
    assert np.isfinite(run(equalized(network, channel_peaks(at_level(network, 30), planes())), 30)).all()
