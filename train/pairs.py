"""Pairs of a ratio and a compression level, at which networks are measured."""

from dataclasses import dataclass

from vs_srcomp.geometry import MAX_QUANTIZER, QUANTIZERS, RATIOS, Ratio


@dataclass(frozen=True)
class Pair:
    """A ratio and a compression level."""

    ratio: Ratio
    q: int

    @property
    def slug(self) -> str:
        """Form for file names: ``"2by1-q40"``."""
        return f"{self.ratio.slug}-q{self.q}"


PAIRS = tuple(Pair(ratio, q) for ratio in RATIOS for q in QUANTIZERS)
"""The pairs that are measured by default."""


def pair_by_slug(slug: str) -> Pair:
    """The pair called ``slug`` ("2by1-q40"), at any level; ValueError for other names."""
    for pair in (Pair(ratio, q) for ratio in RATIOS for q in range(MAX_QUANTIZER + 1)):
        if pair.slug == slug:
            return pair
    raise ValueError(f"no pair is called {slug!r}: give a ratio and a level of 0 to {MAX_QUANTIZER}, as in 2by1-q40")
