"""One estimate for a scene, stretch by stretch, on clips small enough to compute by hand."""

from collections.abc import Iterable

import pytest

from vs_srcomp.av1 import ShownFrame
from vs_srcomp.av1.estimate import SceneJudge, byte_weighted

from .frames import coded

_UNKNOWN = ShownFrame(None, None, None, ())


def _shown(q: int, *, size: int = 1000, key: bool = False, references: tuple[int, ...] = (0,)) -> ShownFrame:
    """A frame that takes slot 0, coded without hidden ones; a key frame takes all."""
    frame = coded(q, size, key=key, references=() if key else references, refresh=1)
    return ShownFrame(None, frame, None, (frame,))


def _estimates(frames: Iterable[ShownFrame | None]) -> list[float | None]:
    judge = SceneJudge()
    estimates: list[float | None] = []
    waiting = 0
    for frame in frames:
        if judge.begins_stretch(frame):
            estimates += [judge.settle()] * waiting
            waiting = 0
        judge.follow(frame)
        waiting += 1
    return estimates + [judge.settle()] * waiting


def test_scenes_are_as_in_one_piece() -> None:
    frames = [_shown(60, key=True), *[_shown(120, size=200)] * 9, _shown(100, key=True), *[_shown(180, size=300)] * 5]
    assert _estimates(frames) == pytest.approx(byte_weighted(frames))


def test_a_scene_of_frames_coded_before_it_has_theirs() -> None:
    """A key frame that is coded ahead, hidden, and shown by reference."""
    key = _shown(60, key=True).frame
    assert _estimates([_shown(100, key=True), ShownFrame(None, key, 0, ())]) == [100, 60]


def test_a_long_scene_follows_what_changes_and_not_what_sways() -> None:
    scene = [_shown(100, key=True), *[_shown(100)] * 255, *[_shown(108)] * 256, *[_shown(160)] * 256]
    estimates = _estimates(scene)
    assert estimates[0] == estimates[255] == estimates[256] == estimates[511] == 100
    assert estimates[512] == estimates[-1] == pytest.approx(160)


def test_a_cut_forgets_what_was_held() -> None:
    frames = [_shown(100, key=True), *[_shown(100)] * 9, _shown(108, key=True), *[_shown(108)] * 9]
    assert _estimates(frames) == [100] * 10 + [108] * 10


def test_unknown_frames_do_not_count() -> None:
    frames = [_shown(100, key=True), _UNKNOWN, None, _shown(100)]
    assert _estimates(frames) == [100] * 4
    assert _estimates([_UNKNOWN, None]) == [None, None]
