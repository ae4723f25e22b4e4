"""Estimators on clips small enough to compute by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.av1.conftest import made  # noqa: F401  # a fixture
from tests.av1.frames import coded
from train.estimators import (
    ESTIMATORS,
    byte_weighted,
    clip_median,
    own_q,
    propagated,
    propagated_scene,
    propagated_window,
    scenes,
)
from vs_srcomp.av1 import CodedFrame, ShownFrame
from vs_srcomp.source.scan import scan


def _shown(*coded: CodedFrame) -> ShownFrame:
    return ShownFrame(None, coded[-1], None, coded)


def _again(slot: int, frame: CodedFrame, *coded: CodedFrame) -> ShownFrame:
    return ShownFrame(None, frame, slot, coded)


_UNKNOWN = ShownFrame(None, None, None, ())

# A pyramid: a key frame, a hidden frame shown last, a leaf between them.
_KEY = coded(60, 1600, key=True)
_HIDDEN = coded(105, 200, references=(0,) * 7, refresh=0b10, show=False)
_LEAF = coded(150, 25, references=(0, 1, 0, 1, 0, 1, 7))
_PYRAMID = [_shown(_KEY), _shown(_HIDDEN, _LEAF), _again(1, _HIDDEN)]

# At 105 the key frame would have 1600 / 2 bytes, at 150 1600 / 4.
_HIDDEN_WEIGHT = 1.5 * (200 / 800) ** 0.5
_HIDDEN_Q = _HIDDEN_WEIGHT * 105 + (1 - _HIDDEN_WEIGHT) * 60
_LEAF_WEIGHT = 1.5 * (25 / 400) ** 0.5
_LEAF_Q = _LEAF_WEIGHT * 150 + (1 - _LEAF_WEIGHT) * (60 + _HIDDEN_Q) / 2


def test_the_numbers_by_hand() -> None:
    assert (_HIDDEN_WEIGHT, _HIDDEN_Q) == (0.75, 93.75)
    assert (_LEAF_WEIGHT, _LEAF_Q) == (0.375, 104.296875)


def test_own_q() -> None:
    assert own_q(_PYRAMID) == [60, 150, 105]


def test_clip_median() -> None:
    assert clip_median(_PYRAMID) == [105, 105, 105]
    assert clip_median(_PYRAMID[:2]) == [105, 105]
    assert clip_median([*_PYRAMID, _shown(coded(201, 9))]) == [127.5] * 4


def test_byte_weighted() -> None:
    mean = (60 * 1600 + 105 * 200 + 150 * 25) / 1825
    assert byte_weighted(_PYRAMID) == [mean] * 3
    second = [_shown(coded(100, 30, key=True)), _shown(coded(160, 10))]
    assert byte_weighted([*_PYRAMID, *second]) == [mean] * 3 + [115.0] * 2


def test_byte_weighted_of_a_scene_that_was_coded_before_it() -> None:
    ahead = coded(80, 500, key=True, refresh=0b100, show=False)
    clip = [_shown(coded(40, 100, key=True)), _shown(ahead, coded(60, 100)), _again(2, ahead)]
    assert byte_weighted(clip) == [(4000 + 40000 + 6000) / 700] * 2 + [80.0]


def test_propagated() -> None:
    assert propagated(_PYRAMID) == [60, _LEAF_Q, _HIDDEN_Q]


def test_propagated_frames_that_are_all_new_have_their_own_q() -> None:
    assert propagated([_shown(_KEY), _shown(coded(90, 1600, references=(0,) * 7))]) == [60, 90]
    assert propagated([_shown(_KEY), _shown(coded(90, 10))]) == [60, 90]


def test_a_key_frame_shown_from_a_slot_fills_all_slots() -> None:
    ahead = coded(80, 400, key=True, refresh=0b100, show=False)
    last = coded(80, 100, references=(5,) * 7)
    clip = [_shown(_KEY), _shown(ahead, coded(60, 9)), _again(2, ahead), _shown(last)]
    assert propagated(clip)[2:] == [80, 80]
    assert [list(scene) for scene in scenes(clip)] == [[0, 1], [2, 3]]


def test_propagated_means_stay_in_their_scene() -> None:
    clip = [*_PYRAMID, _shown(coded(200, 100, key=True))]
    mean = (60 + _LEAF_Q + _HIDDEN_Q) / 3
    assert propagated_scene(clip) == [mean] * 3 + [200]
    assert propagated_window(clip) == [mean] * 3 + [200]


def test_the_window_reaches_eight_frames() -> None:
    clip = [_shown(coded(100, 50, key=True))] + [_shown(coded(100 + i, 50)) for i in range(1, 20)]
    values = propagated_window(clip)
    assert values[0] == 100 + sum(range(9)) / 9
    assert values[10] == 110
    assert values[19] == 100 + sum(range(11, 20)) / 9


@pytest.mark.parametrize("name", ESTIMATORS)
def test_unknown_frames_take_the_value_before_them(name: str) -> None:
    key = coded(100, 50, key=True)
    assert ESTIMATORS[name]([_UNKNOWN, _shown(key), _UNKNOWN, _shown(key)]) == [100] * 4
    with pytest.raises(ValueError, match="no frame"):
        ESTIMATORS[name]([_UNKNOWN, _UNKNOWN])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fixed_quantizer_is_found_by_all(name: str, made: Callable[[str], Path]) -> None:  # noqa: F811
    assert ESTIMATORS[name](list(scan(made("aom-fixed-q")))) == pytest.approx([160] * 16)
