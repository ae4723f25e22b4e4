import numpy as np
import pytest
from numpy.typing import NDArray

import train.ranges as ranges_module
from tests.helpers.networks import make_onnx, random_stack
from tests.helpers.pictures import picture
from train.ranges import CROP, LIMITS, MOST_LOST, Ranges, Seen, channel_peaks, choose_ranges, hard_edges, middle
from vs_srcomp.backends.base import PlaneFormat


def planes(count: int = 2) -> list[np.ndarray]:
    return [picture(PlaneFormat(CROP + 16, CROP, 8), seed) for seed in range(count)]


def test_ranges_are_what_layers_see_times_a_factor() -> None:
    network, seen = random_stack(4, 8, 4), planes()
    found = choose_ranges([Seen(network, seen)])
    whole = [peaks.max() for peaks in channel_peaks(network, seen)]
    factors = [limit / peak for limit, peak in zip(found.ranges, whole, strict=True)]
    assert len(factors) == 3
    assert any(factors)
    for factor in factors:
        assert min(abs(factor - listed) for listed in (0, *ranges_module._FACTORS)) < 1e-3
    assert found.kept >= min(least for least, _ in LIMITS)
    assert found.lost <= MOST_LOST
    assert 0.5 < found.share <= 1


def test_layers_that_lose_too_much_stay_out_of_integers() -> None:
    assert choose_ranges([Seen(two_layers(500), planes(1))]).ranges == (0.0,)


@pytest.mark.parametrize(
    ("shares", "kept"),
    [
        ((0.9, 0.9, 0.9), 0.98),
        ((0.7, 0.9, 0.9), 0.97),
        ((0.7, 0.7, 0.9), 0.96),
        ((0.9, 0.7, 0.8), 0.98),
        ((0.9, 1.0, 1.0), 0.97),
    ],
)
def test_edges_are_given_up_only_for_more_integers(
    monkeypatch: pytest.MonkeyPatch, shares: tuple[float, float, float], kept: float
) -> None:
    found = [Ranges((), 0, least, share) for (least, _), share in zip(LIMITS, shares, strict=True)]
    monkeypatch.setattr(ranges_module, "_best", lambda factors, levels, whole, least: np.ones(3))
    monkeypatch.setattr(ranges_module, "_within_limits", lambda levels, ranges: found.pop(0))
    assert choose_ranges([Seen(random_stack(4, 8, 4), planes(1))]).kept == kept


@pytest.mark.parametrize(
    ("least", "factors"), [(0.0, (0.85, 1.15, 0.92)), (3.0, (1.0, 1.15, 0.92)), (4.0, (1.15, 1.15, 1.15))]
)
def test_each_layer_has_the_factor_that_loses_least_and_keeps_enough(
    monkeypatch: pytest.MonkeyPatch, least: float, factors: tuple[float, ...]
) -> None:
    whole, best = np.array([3.0, 5.0, 2.0]), np.array([0.8, 1.2, 0.9])
    measured: list[tuple[float, ...]] = []

    class OneLevel:
        def __init__(self, form: Seen) -> None:
            pass

        def lost(self, ranges: NDArray[np.float64]) -> float:
            measured.append(tuple(ranges))
            return float(np.square(ranges / whole - best).sum())

        def kept(self, ranges: NDArray[np.float64]) -> float:
            return float((ranges / whole).sum())

    monkeypatch.setattr(ranges_module, "_Level", OneLevel)
    levels = ranges_module._Levels([Seen(b"", [])])
    assert tuple(ranges_module._best((1.15, 1.0, 0.92, 0.85), levels, whole, least)) == factors
    assert len(set(measured)) == len(measured)


def test_noise_in_smooth_parts_counts_whatever_the_pictures_own_error() -> None:
    # Originals so far away that the noise hardly changes the error.
    seen = planes(1)
    far = [plane ^ np.uint8(0x80) for plane in seen]
    assert choose_ranges([Seen(two_layers(0.2), seen, far)]).ranges == (0.0,)
    (limit,) = choose_ranges([Seen(two_layers(0.002), seen, far)]).ranges
    assert limit > 0


def two_layers(strength: float) -> bytes:
    """A network whose last layer, of weights as large as ``strength``, makes noise of what rounding takes away."""
    from onnx import helper

    rng = np.random.default_rng(0)
    weights = {"w0": rng.normal(0, 1, (8, 1, 3, 3)), "w1": strength * rng.normal(0, 1, (1, 8, 3, 3))}
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["f"], pads=[1] * 4),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("Conv", ["g", "w1"], ["r"], pads=[1] * 4),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    return make_onnx(nodes, {name: value.astype(np.float32) for name, value in weights.items()})


def test_small_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="smaller than 256x256"):
        middle(np.zeros((100, 300), np.uint8))


def test_edges_are_hard_and_always_the_same() -> None:
    edges = list(hard_edges())
    assert all(plane.shape == (CROP, CROP) and np.ptp(plane) > 150 for plane in edges)
    assert all(np.array_equal(*both) for both in zip(edges, hard_edges(), strict=True))
