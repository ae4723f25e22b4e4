"""Which frames are shown."""

import numpy as np

from vs_srcomp.compare.choice import choose
from vs_srcomp.compare.scores import METRICS, Measured, Track

NEG = METRICS[0]


def measured(scores: list[list[float | None]], *, cuts: list[int], detail: list[float] | None = None) -> Measured:
    count = len(scores[0]) if scores else len(detail or [])
    return Measured(
        times=[n / 25 for n in range(count)],
        cuts=cuts,
        detail=detail or [1.0] * count,
        tracks=[Track({NEG.name: values}) for values in scores],
        metrics=(NEG,) if scores else (),
        peak=255,
        samples=1,
    )


def test_worst_median_best_and_scenes() -> None:
    scores: list[float | None] = [float(50 + n % 7) for n in range(101)]
    scores[60], scores[61], scores[20] = 1.0, 1.5, 99.0
    found = {each.number: each.reasons for each in choose(measured([scores], cuts=[0, 40]), 12)}
    assert found[60][0] == "worst VMAF-NEG"
    # The neighbour of the worst looks like it.
    assert 61 not in found
    assert found[20][0] == "best VMAF-NEG"
    assert "median VMAF-NEG" in {reason for reasons in found.values() for reason in reasons}
    assert "first frame" in found[0]
    assert "first of a scene" in found[40]
    assert len(found) == 12
    assert list(found) == sorted(found)


def test_the_rest_is_where_candidates_differ_most() -> None:
    one: list[float | None] = [80.0] * 100
    other: list[float | None] = [80.0 - (n == 33) * 30 - (n == 77) * 40 for n in range(100)]
    found = {each.number: each.reasons for each in choose(measured([one, other], cuts=[0]), 8)}
    assert "worst VMAF-NEG" in found[77]
    assert {33, 77} <= {*found}


def test_infinite_scores_are_the_best() -> None:
    scores: list[float | None] = [50.0, 40.0, None, 45.0]
    found = {each.number: each.reasons for each in choose(measured([scores], cuts=[0]), 4)}
    assert "best VMAF-NEG" in found[2]


def test_without_a_reference_detail_counts() -> None:
    detail: list[float] = np.linspace(1, 2, 100).tolist()
    detail[70] = 9.0
    found = {each.number: each.reasons for each in choose(measured([], cuts=[0, 50], detail=detail), 6)}
    assert found[70][0] == "much detail"
    assert {0, 50} <= {*found}
    assert len(found) == 6


def test_many_scenes_leave_room_for_others() -> None:
    scores: list[float | None] = [float(n) for n in range(400)]
    chosen = choose(measured([scores], cuts=list(range(0, 400, 4))), 12)
    reasons = [reason for each in chosen for reason in each.reasons]
    assert len(chosen) == 12
    assert "worst VMAF-NEG" in reasons
    assert "best VMAF-NEG" in reasons


def test_a_short_clip_is_shown_whole() -> None:
    assert [each.number for each in choose(measured([[1.0, 2.0]], cuts=[0]), 12)] == [0, 1]
