"""Random crops: where they lie, how they are turned, which pictures they come from."""

import time

import numpy as np
import pytest
import torch

from tests.train.examples import blurred
from train.material.coded import Example
from train.material.crops import CropBank, Weighting

CPU = torch.device("cpu")


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def codes(crops: torch.Tensor) -> np.ndarray:
    """(N, 1, H, W) in 0..1 as (N, H, W) codes."""
    return np.asarray((crops[:, 0] * 255).round().to(torch.uint8))


def weights(examples: list[Example]) -> np.ndarray:
    weighting = Weighting(examples)
    return np.array([weighting.of(example) for example in examples])


def turned(plane: np.ndarray) -> set[bytes]:
    """A square in its eight orientations."""
    return {each.tobytes() for k in range(4) for each in (np.rot90(plane, k), np.rot90(plane, k).T)}


def test_crops_depend_on_the_random_numbers_alone() -> None:
    bank, again = (CropBank(blurred(), 32, CPU) for _ in range(2))
    first, second, other = bank.draw(4, generator()), again.draw(4, generator()), bank.draw(4, generator(4))
    assert torch.equal(first.source, second.source)
    assert torch.equal(first.targets[0], second.targets[0])
    assert torch.equal(first.q, second.q)
    assert not torch.equal(first.source, other.source)


def test_crops_come_in_all_eight_orientations_and_both_planes_alike() -> None:
    plane = np.arange(64, dtype=np.uint8).reshape(8, 8)
    crops = CropBank([Example(plane, plane + 1, 30.0, "a")], 8, CPU).draw(200, generator())
    source, original = codes(crops.source), codes(crops.targets[0])
    assert np.array_equal(source + 1, original)
    assert {crop.tobytes() for crop in source} == turned(plane)
    assert (crops.weight == 1).all()
    assert (crops.q == 30).all()


def test_crops_begin_where_every_ratio_repeats_and_reach_every_place() -> None:
    block = np.arange(64, dtype=np.uint8).reshape(8, 8)
    plane = np.tile(block, (5, 7))
    crops = CropBank([Example(plane, plane + 1, 30.0, "a")], 16, CPU).draw(200, generator())
    assert {crop.tobytes() for crop in codes(crops.source)} == turned(np.tile(block, (2, 2)))

    # Each block of a number of its own: the corners of crops say where they lie.
    numbered = np.kron(np.arange(35, dtype=np.uint8).reshape(5, 7), np.ones((8, 8), np.uint8))
    crops = CropBank([Example(numbered, numbered, 30.0, "a")], 16, CPU).draw(600, generator())
    corners = {int(crop.min()) for crop in codes(crops.source)}
    assert corners == {7 * row + column for row in range(4) for column in range(6)}


def test_borders_of_pictures_come_more_often_than_by_chance() -> None:
    plane = np.tile(np.arange(240, dtype=np.uint8), (240, 1))
    bank = CropBank([Example(plane, plane, 30.0, "a")], 40, torch.device("cpu"))
    source = bank.draw(4000, torch.Generator().manual_seed(1)).source
    corners = (255 * source).round().amin((1, 2, 3))  # the column of its left border
    shares = [(corners == column).float().mean().item() for column in (0, 96, 200)]
    # 26 places each way; a twentieth on each side comes on top, of 1.1 in all.
    assert shares == pytest.approx([(0.05 + 1 / 26) / 1.1, 1 / 26 / 1.1, (0.05 + 1 / 26) / 1.1], abs=0.015)


def test_each_crop_comes_from_one_picture_with_its_level_and_weight() -> None:
    rng = np.random.default_rng(0)
    examples = []
    # Of many sizes, of which one is too small and never drawn.
    for index, (height, width) in enumerate([(32, 40), (64, 32), (24, 64), (48, 48)]):
        degraded = np.full((height, width), 50 * index, np.uint8)
        noise = rng.integers(0, 2 + 10 * index, degraded.shape, dtype=np.uint8)
        examples.append(Example(degraded, degraded + noise, 20.0 + 10 * index, f"{index}"))
    crops = CropBank(examples, 32, CPU).draw(300, generator())
    expected = dict(zip((0, 1, 3), weights([examples[index] for index in (0, 1, 3)]), strict=True))
    seen = set()
    for source, q, weight in zip(codes(crops.source), crops.q.tolist(), crops.weight.tolist(), strict=True):
        (code,) = np.unique(source)
        index = int(code) // 50
        seen.add(index)
        assert q == 20 + 10 * index
        assert weight == pytest.approx(expected[index])
    assert seen == {0, 1, 3}
    with pytest.raises(ValueError, match="no picture is as large as a crop of 128x128"):
        CropBank(examples, 128, CPU)


def test_networks_that_enlarge_get_the_small_square_of_the_same_place() -> None:
    small = np.arange(16 * 16, dtype=np.uint8).reshape(16, 16)
    large = np.kron(small, np.ones((2, 2), np.uint8))
    crops = CropBank([Example(small, large, 0.0, "a", clean=small)], 16, CPU).draw(50, generator())
    assert crops.source.shape == (50, 1, 8, 8)
    source, (original, clean) = codes(crops.source), map(codes, crops.targets)
    assert np.array_equal(np.kron(source, np.ones((1, 2, 2), np.uint8)), original)
    assert np.array_equal(source, clean)
    with pytest.raises(ValueError, match="crop 15 is not a multiple of the scale 2"):
        CropBank([Example(small, large, 0.0, "a")], 15, CPU)


def test_weights_are_about_one_over_the_error_among_like_levels() -> None:
    flat = np.full((32, 32), 100, np.uint8)
    # At each of two levels far apart, one picture with twice the other's difference.
    levels = {20.0: (2, 4), 50.0: (10, 20)}
    examples = [Example(flat, flat + np.uint8(away), q, f"{away}") for q, both in levels.items() for away in both]
    found = weights(examples)
    assert found.mean() == pytest.approx(1)
    for at, (less, more) in zip((0, 2), levels.values(), strict=True):
        softened = 0.2 * (less**2 + more**2) / 2
        expected = (more**2 + softened) / (less**2 + softened)
        assert found[at] / found[at + 1] == pytest.approx(expected, rel=1e-5)


def test_pictures_that_lost_nothing_have_a_finite_weight() -> None:
    flat = np.full((32, 32), 100, np.uint8)
    assert weights([Example(flat, flat, 20.0, name) for name in "ab"]).tolist() == [1, 1]


def test_many_thousands_of_patches_are_weighted_in_time() -> None:
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 256, (2, 8, 8), np.uint8)
    examples = [Example(low, high, 20.0 + 10 * (number % 4), f"{number}") for number in range(100_000)]
    begun = time.process_time()
    assert weights(examples) == pytest.approx(np.ones(100_000))
    # It takes two; if each example were compared with all others, it would take a minute.
    assert time.process_time() - begun < 20
