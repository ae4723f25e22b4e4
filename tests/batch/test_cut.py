"""Cutting of jobs into segments."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vs_srcomp.batch.cut import first_frames


@given(
    total=st.integers(1, 2000),
    length=st.integers(1, 300),
    keys=st.lists(st.integers(0, 2000), unique=True).map(sorted),
    first=st.integers(0, 50),
)
def test_segments_cover_all_frames_and_are_of_about_one_length(
    total: int, length: int, keys: list[int], first: int
) -> None:
    stop = first + total
    firsts = first_frames(first, stop, keys, length)
    assert firsts[0] == first
    lengths = [after - before for before, after in pairwise([*firsts, stop])]
    assert all(length - length // 2 <= size <= length + length // 2 for size in lengths[:-1])
    assert 1 <= lengths[-1] <= length + length // 2
    for before, begin in pairwise(firsts):
        reachable = [key for key in keys if abs(key - before - length) <= length // 2 and key > before]
        assert begin in reachable if reachable else begin == before + length
