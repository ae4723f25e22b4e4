"""One estimate for a scene, stretch by stretch, on clips small enough to compute by hand."""

import pytest

from vs_srcomp.av1 import ShownFrame
from vs_srcomp.av1.estimate import effective_q_idx, estimates

from .frames import coded

_UNKNOWN = ShownFrame(None, None, None, ())


def _shown(q: int, *, size: int = 1000, key: bool = False, references: tuple[int, ...] = (0,)) -> ShownFrame:
    """A frame that takes slot 0, coded without hidden ones; a key frame takes all."""
    frame = coded(q, size, key=key, references=() if key else references, refresh=1)
    return ShownFrame(None, frame, None, (frame,))


def test_most_bytes_count_most() -> None:
    frames = [coded(60, 1600, key=True), coded(105, 200, show=False), coded(150, 25)]
    assert effective_q_idx(frames) == (60 * 1600 + 105 * 200 + 150 * 25) / 1825
    assert effective_q_idx([]) is None


def test_each_scene_has_one_estimate() -> None:
    frames = [_shown(60, key=True), *[_shown(120, size=200)] * 9, _shown(100, key=True), *[_shown(180, size=300)] * 5]
    first, second = (60 * 1000 + 9 * 120 * 200) / 2800, (100 * 1000 + 5 * 180 * 300) / 2500
    assert estimates(frames) == pytest.approx([first] * 10 + [second] * 6)


def test_a_scene_of_frames_coded_before_it_has_theirs() -> None:
    """A key frame that is coded ahead, hidden, and shown by reference."""
    key = _shown(60, key=True).frame
    assert estimates([_shown(100, key=True), ShownFrame(None, key, 0, ())]) == [100, 60]


def test_a_long_scene_follows_what_changes_and_not_what_sways() -> None:
    scene = [_shown(100, key=True), *[_shown(100)] * 255, *[_shown(108)] * 256, *[_shown(160)] * 256]
    found = estimates(scene)
    assert found[0] == found[255] == found[256] == found[511] == 100
    assert found[512] == found[-1] == pytest.approx(160)


def test_a_cut_forgets_the_estimate_before() -> None:
    frames = [_shown(100, key=True), *[_shown(100)] * 9, _shown(108, key=True), *[_shown(108)] * 9]
    assert estimates(frames) == [100] * 10 + [108] * 10


def test_unknown_frames_do_not_count() -> None:
    frames = [_shown(100, key=True), _UNKNOWN, None, _shown(100)]
    assert estimates(frames) == [100] * 4
    assert estimates([_UNKNOWN, None]) == [None, None]
