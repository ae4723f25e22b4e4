"""Gain of a network on validation pictures, and its drift."""

import numpy as np
import pytest
import torch

from tests.train.examples import blurred
from train.material.coded import Example
from train.networks.network import outputs_of
from train.networks.plain import PlainStack
from train.validation import Validation, remove_drift, to_luma

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
