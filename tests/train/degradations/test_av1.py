"""The degradation by AV1: what a network is given to restore."""

import numpy as np
import pytest

from tests.train.photographs import photograph
from train.degradations import DEGRADATIONS
from train.degradations.degradation import Picture


@pytest.fixture
def luma() -> Picture:
    return np.asarray(photograph(1, 112, 96).convert("L"))


@pytest.mark.parametrize("ratio", ["2:1", "8:5", "4:3"])
def test_a_picture_is_coded_and_of_its_own_size_again(luma: Picture, ratio: str) -> None:
    made = DEGRADATIONS.make("av1", ratio=ratio, lowest=20, highest=20)(luma, np.random.default_rng(1))
    assert made.input.shape == luma.shape
    assert (made.q, made.ratio, made.clean) == (20, 1, None)
    error = np.abs(made.input.astype(int) - luma)
    assert 0 < error.mean() < 12


def test_the_level_is_random_within_its_range_by_the_seed_alone(luma: Picture) -> None:
    degrade = DEGRADATIONS.make("av1", ratio="2:1", lowest=20, highest=50)
    made = [degrade(luma, np.random.default_rng(seed)) for seed in (1, 2, 1)]
    assert made[0].q == made[2].q != made[1].q
    assert all(each.q is not None and 20 <= each.q <= 50 for each in made)
    np.testing.assert_array_equal(made[0].input, made[2].input)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lowest": 40, "highest": 30}, "levels from 40 to 30 are not within 0 to 63"),
        ({"highest": 64}, "levels from 15 to 64 are not within 0 to 63"),
        ({"ratio": "3:1"}, "3:1"),
    ],
)
def test_levels_and_ratios_that_do_not_exist_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DEGRADATIONS.make("av1", **{"ratio": "2:1", **wrong})
