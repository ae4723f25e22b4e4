from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vs_srcomp.geometry import (
    MAX_QUANTIZER,
    QUANTIZERS,
    RATIOS,
    nearest_quantizer,
    nearest_ratio,
    ratio_by_name,
    scaled_size,
)

sizes = st.integers(1, 16384)
subsamplings = st.integers(0, 2)
factors = st.sampled_from([ratio.factor for ratio in RATIOS])


@pytest.mark.parametrize(
    ("source", "ratio", "subsampling", "target"),
    [
        ((960, 540), "2:1", (1, 1), (1920, 1080)),
        ((1200, 675), "8:5", (1, 1), (1920, 1080)),
        ((1440, 810), "4:3", (1, 1), (1920, 1080)),
        ((854, 480), "8:5", (1, 1), (1366, 768)),
        ((853, 480), "8:5", (0, 0), (1365, 768)),
        ((855, 480), "4:3", (0, 0), (1140, 640)),
        ((1, 1), "4:3", (1, 1), (2, 2)),
        # 2.67 rounds to 2 where only even numbers will do; 3.2 to 4, the nearer multiple.
        ((2, 2), "8:5", (1, 0), (4, 3)),
    ],
)
def test_scaled_size(
    source: tuple[int, int], ratio: str, subsampling: tuple[int, int], target: tuple[int, int]
) -> None:
    assert scaled_size(*source, ratio_by_name(ratio).factor, *subsampling) == target


@given(sizes, sizes, factors, subsamplings, subsamplings)
def test_scaled_size_is_the_nearest_that_the_subsampling_holds(
    width: int, height: int, factor: Fraction, subsampling_w: int, subsampling_h: int
) -> None:
    scaled = scaled_size(width, height, factor, subsampling_w, subsampling_h)
    for size, got, subsampling in zip((width, height), scaled, (subsampling_w, subsampling_h), strict=True):
        multiple = 1 << subsampling
        assert got % multiple == 0
        assert got >= multiple
        assert abs(got - size * factor) <= Fraction(multiple, 2) or got == multiple


@given(st.floats(0, MAX_QUANTIZER))
def test_nearest_quantizer_is_nearest(q: float) -> None:
    chosen = nearest_quantizer(q)
    assert all(abs(chosen - q) <= abs(level - q) for level in QUANTIZERS)


@pytest.mark.parametrize(("q", "level"), [(0, 20), (25, 30), (24.9, 20), (44, 40), (45, 50), (63, 50)])
def test_nearest_quantizer(q: float, level: int) -> None:
    assert nearest_quantizer(q) == level


@pytest.mark.parametrize(
    ("factor", "name"), [(2, "2:1"), (3, "2:1"), (1.5, "8:5"), (1.25, "4:3"), (1.6, "8:5"), (1.78, "8:5"), (1.8, "2:1")]
)
def test_nearest_ratio(factor: float, name: str) -> None:
    assert nearest_ratio(factor).name == name


def test_unknown_ratio_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="2:1, 8:5, 4:3"):
        ratio_by_name("3:2")
