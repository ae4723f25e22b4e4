"""Rational numbers, as FFmpeg and as Python have them."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol


class Rational(Protocol):
    """What PyAV's rationals and Python's fractions have in common."""

    @property
    def numerator(self) -> int:
        """Above the line."""

    @property
    def denominator(self) -> int:
        """Below the line, not 0."""


def fraction(value: Rational) -> Fraction:
    """``value`` as a number to count with."""
    return Fraction(value.numerator, value.denominator)


def clock_of(time_base: Fraction) -> Fraction:
    """The unit of timestamps while a stream with such a unit is encoded, in seconds.

    It is the stream's own unit or an even part of it, as FFmpeg's MP4 muxer takes, so that frames which the stream
    shows at one moment can follow each other without pushing on those that come after.
    """
    while time_base > _COARSEST:
        time_base /= 2
    return time_base


_COARSEST = Fraction(1, 10_000)


def decoding_times(shown: Sequence[int]) -> list[int]:
    """When packets are to be decoded, of which it is known when each is shown, in decoding order.

    The times rise, as muxers demand, and no packet is shown before it is decoded. Encoders give such times, too, but
    those at the seam of two segments do not fit together where the frame rate varies.
    """
    ordered = sorted(shown)
    rank = {time: number for number, time in enumerate(ordered)}
    delay = max(number - rank[time] for number, time in enumerate(shown))
    ahead = ordered[delay] - ordered[0]
    return [time - ahead for time in ordered[:delay]] + ordered[: len(ordered) - delay]
