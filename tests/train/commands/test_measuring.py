"""What the commands that measure take from the command line."""

from train.commands.measuring import chosen_pairs
from train.pairs import PAIRS, pair_by_slug


def test_a_pair_that_is_given_twice_is_measured_once() -> None:
    assert chosen_pairs(("8by5-q20", "2by1-q40", "8by5-q20"), record=True) == [
        pair_by_slug("8by5-q20"),
        pair_by_slug("2by1-q40"),
    ]
    assert chosen_pairs((), record=True) == PAIRS
