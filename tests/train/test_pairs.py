"""Pairs of a ratio and a compression level."""

import pytest

from train.pairs import PAIRS, Pair, pair_by_slug
from vs_srcomp.geometry import ratio_by_name


def test_a_pair_has_any_level_of_av1() -> None:
    assert pair_by_slug("8by5-q25") == Pair(ratio_by_name("8:5"), 25)
    for wrong in ("8by5-q64", "8by5-q-1", "3by1-q40", "8by5"):
        with pytest.raises(ValueError, match=f"no pair is called '{wrong}': give a ratio and a level of 0 to 63"):
            pair_by_slug(wrong)


def test_twelve_are_measured_each_under_its_own_name() -> None:
    assert len(PAIRS) == 12
    assert [pair_by_slug(pair.slug) for pair in PAIRS] == list(PAIRS)
