"""Piecewise linear functions, as recipes state them: [[place, value], ...] in order."""

from itertools import pairwise
from typing import Any

from train.registry import is_number

type Points = list[tuple[float, float]]
"""Places, which rise or stay, and finite values."""


def read_points(value: Any) -> Points | None:
    """``value`` of a recipe as points; None if it is something else."""
    if not isinstance(value, list | tuple) or not value:
        return None
    if not all(isinstance(point, list | tuple) and len(point) == 2 for point in value):
        return None
    if not all(is_number(number) for point in value for number in point):
        return None
    points = [(float(place), float(number)) for place, number in value]
    return points if all(before[0] <= after[0] for before, after in pairwise(points)) else None
