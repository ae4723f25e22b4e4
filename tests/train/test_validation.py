"""Gain of a network on validation pictures, and its drift."""

import numpy as np
import pytest
import torch

from tests.train.examples import blurred
from train.material.coded import Example
from train.networks.network import outputs_of
from train.networks.plain import PlainStack
from train.validation import MEASURED, Validation, middles, remove_drift, sample, to_luma

CPU = torch.device("cpu")


def test_the_gain_is_that_of_psnr_in_codes() -> None:
    network = PlainStack(stride=2, channels=4, layers=3)
    torch.nn.init.zeros_(network.tail.weight)
    network.shift_residual(2 / 255)
    flat = np.full((64, 64), 100, np.uint8)
    examples = [Example(flat, flat + np.uint8(away), 30.0, "") for away in (3, 5)]
    # Errors of 3 and 5 become 1 and 3.
    expected = 20 * (np.log10(3 / 1) + np.log10(5 / 3)) / 2
    assert Validation(examples, CPU).gain(network) == pytest.approx(expected, abs=1e-4)


def test_drift_is_taken_out() -> None:
    torch.manual_seed(0)
    network = PlainStack(stride=2, channels=8, layers=3)
    network.shift_residual(0.02)
    examples = blurred()
    remove_drift(network, examples, CPU)
    residuals = []
    for example in examples:
        luma = to_luma(example.degraded, CPU)
        residuals.append(outputs_of(network, luma, torch.tensor([example.q]))[0] - luma)
    assert abs(torch.stack(residuals).mean().item()) < 1e-6
    assert torch.stack(residuals).abs().mean().item() > 1e-4


@pytest.mark.parametrize("period", [5, 8])
def test_of_many_examples_every_level_and_frame_is_measured(period: int) -> None:
    plane = np.zeros((8, 8), np.uint8)
    # As many as made a step of the period.
    examples = [Example(plane, plane, float(number % period), f"{number}") for number in range(period * MEASURED)]
    chosen = sample(examples)
    numbers = [int(example.picture) for example in chosen]
    assert len(chosen) == MEASURED
    assert numbers == sorted(set(numbers))
    counts = [sum(example.q == each for example in chosen) for each in range(period)]
    assert min(counts) > MEASURED / period / 2
    assert [example.picture for example in sample(examples)] == [example.picture for example in chosen]
    assert sample(examples[:MEASURED]) == examples[:MEASURED]
    assert Validation(examples, CPU).pixels == MEASURED * 64


def test_drift_is_that_of_every_level() -> None:
    network = PlainStack(stride=2, channels=4, layers=3)
    torch.nn.init.zeros_(network.tail.weight)
    seen: list[float] = []
    network.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[1].item()))
    plane = np.zeros((8, 8), np.uint8)
    remove_drift(network, [Example(plane, plane, 20.0 + number % 5, "") for number in range(5 * MEASURED)], CPU)
    assert len(seen) == MEASURED
    assert set(seen) == {20, 21, 22, 23, 24}


def test_windows_are_whole_cells_of_every_stride() -> None:
    numbered = np.arange(60 * 300, dtype=np.uint32).reshape(60, 300) % 251
    plane = numbered.astype(np.uint8)
    ((source, original, q),) = middles([Example(plane, plane, 30.0, "")], CPU)
    assert source.shape == original.shape == (1, 1, 56, 256)
    assert torch.equal(source, to_luma(plane[:56, 16:272], CPU))
    assert q.tolist() == [30]
