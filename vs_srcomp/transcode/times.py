"""Rational numbers, as FFmpeg and as Python have them."""

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
