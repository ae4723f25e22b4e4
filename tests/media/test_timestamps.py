"""Times of decoding."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vs_srcomp.media.timestamps import decoding_times


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40, unique=True))
def test_decoding_times_rise_and_precede_showing(shown: list[int]) -> None:
    times = decoding_times(shown)
    assert len(times) == len(shown)
    assert all(one < two for one, two in pairwise(times))
    assert all(decoded <= time for decoded, time in zip(times, shown, strict=True))


def test_decoding_times_are_those_of_showing_where_nothing_is_reordered() -> None:
    assert decoding_times([0, 40, 90]) == [0, 40, 90]
    assert decoding_times([0, 120, 40, 80, 160]) == [-40, 0, 40, 80, 120]
