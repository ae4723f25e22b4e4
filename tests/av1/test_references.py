"""set_frame_refs() and skip_mode_params() against the pseudo code of the specification, taken literally."""

from hypothesis import given
from hypothesis import strategies as st

from vs_srcomp.av1.references import get_relative_dist, set_frame_refs, skip_mode_allowed

_CASES = st.integers(1, 8).flatmap(
    lambda bits: st.tuples(
        st.just(bits),
        st.integers(0, (1 << bits) - 1),
        st.lists(st.integers(0, (1 << bits) - 1), min_size=8, max_size=8),
        st.integers(0, 7),
        st.integers(0, 7),
    )
)


def _find(shifted: list[int], used: list[bool], backward: bool, latest: bool, current: int) -> int:
    """find_latest_backward(), find_earliest_backward() and find_latest_forward() of section 7.8."""
    ref = -1
    best = 0
    for i in range(8):
        hint = shifted[i]
        side = hint >= current if backward else hint < current
        if not used[i] and side and (ref < 0 or (hint >= best if latest else hint < best)):
            ref = i
            best = hint
    return ref


def _set_frame_refs(bits: int, order_hint: int, hints: list[int], last: int, gold: int) -> list[int]:
    """Section 7.8, line by line."""
    refs = [-1] * 7
    refs[0], refs[3] = last, gold
    used = [i in (last, gold) for i in range(8)]
    current = 1 << (bits - 1)
    shifted = [current + get_relative_dist(hint, order_hint, bits) for hint in hints]
    for target, latest in ((6, True), (4, False), (5, False)):
        ref = _find(shifted, used, backward=True, latest=latest, current=current)
        if ref >= 0:
            refs[target] = ref
            used[ref] = True
    for target in (1, 2, 4, 5, 6):
        if refs[target] < 0:
            ref = _find(shifted, used, backward=False, latest=True, current=current)
            if ref >= 0:
                refs[target] = ref
                used[ref] = True
    ref = -1
    earliest = 0
    for i in range(8):
        if ref < 0 or shifted[i] < earliest:
            ref = i
            earliest = shifted[i]
    return [ref if one < 0 else one for one in refs]


def _skip_mode_allowed(bits: int, order_hint: int, hints: list[int]) -> bool:
    """Section 5.9.22, line by line."""
    forward = backward = -1
    forward_hint = backward_hint = 0
    for i, hint in enumerate(hints):
        if get_relative_dist(hint, order_hint, bits) < 0:
            if forward < 0 or get_relative_dist(hint, forward_hint, bits) > 0:
                forward, forward_hint = i, hint
        elif get_relative_dist(hint, order_hint, bits) > 0 and (
            backward < 0 or get_relative_dist(hint, backward_hint, bits) < 0
        ):
            backward, backward_hint = i, hint
    if forward < 0:
        return False
    if backward >= 0:
        return True
    return any(get_relative_dist(hint, forward_hint, bits) < 0 for hint in hints)


@given(_CASES)
def test_set_frame_refs(case: tuple[int, int, list[int], int, int]) -> None:
    bits, order_hint, hints, last, gold = case
    assert set_frame_refs(last, gold, hints, order_hint, bits) == tuple(
        _set_frame_refs(bits, order_hint, hints, last, gold)
    )


@given(_CASES)
def test_skip_mode_allowed(case: tuple[int, int, list[int], int, int]) -> None:
    bits, order_hint, hints, *_ = case
    assert skip_mode_allowed(hints[:7], order_hint, bits) == _skip_mode_allowed(bits, order_hint, hints[:7])


def test_order_hints_lie_on_a_circle() -> None:
    assert get_relative_dist(1, 127, 7) == 2
    assert get_relative_dist(127, 1, 7) == -2
    assert get_relative_dist(64, 0, 7) == -64
    assert get_relative_dist(5, 2, 0) == 0
