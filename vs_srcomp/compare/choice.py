"""The choice of frames to show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vs_srcomp.compare.scores import Measured, Metric

WORST = 2
"""Number of worst frames to show."""

SCENES = 0.7
"""Largest share of scene starts among the frames."""


DIFFERENT = "candidates differ"
"""Reason of the frames on which the candidates' scores differ most."""


@dataclass(frozen=True)
class Chosen:
    """A frame, and the reason to show it."""

    number: int
    reasons: tuple[str, ...]


def choose(measured: Measured, count: int) -> list[Chosen]:
    """At most ``count`` frames, in order of time.

    With a reference: the worst, the median and the best by the first metric, as the mean of all candidates; the first
    frames of scenes; then those on which the candidates differ most. Without one: first frames of scenes, then the most
    detailed. Worst, most different and most detailed frames keep a distance, because neighbours look alike.
    """
    found: dict[int, list[str]] = {}
    for number, reason in _wishes(measured, count):
        if number in found:
            found[number].append(reason)
        elif len(found) < count:
            found[number] = [reason]
    return [Chosen(number, tuple(reasons)) for number, reasons in sorted(found.items())]


def _wishes(measured: Measured, count: int) -> Iterator[tuple[int, str]]:
    frames = len(measured.times)
    gap = max(1, frames // (2 * count))
    metric = measured.metrics[0] if measured.metrics else None
    table = _table(measured, metric) if metric else None
    if metric and table is not None:
        mean = table.mean(axis=0)
        order = np.argsort(mean, kind="stable")
        for place, number in enumerate(_apart(order, gap, WORST)):
            yield number, f"worst {metric.title}" if place == 0 else f"{place + 1}nd worst {metric.title}"
        yield int(order[len(order) // 2]), f"median {metric.title}"
        yield int(order[-1]), f"best {metric.title}"
    scenes = measured.cuts[:: max(1, round(len(measured.cuts) / (SCENES * count)))]
    for number in scenes:
        yield number, "first of a scene" if number else "first frame"
    if table is not None and len(table) > 1:
        spread = table.max(axis=0) - table.min(axis=0)
        for number in _apart(np.argsort(-spread, kind="stable"), gap, count):
            yield number, DIFFERENT
    else:
        for number in _apart(np.argsort(-np.array(measured.detail), kind="stable"), gap, count):
            yield number, "much detail"


def _table(measured: Measured, metric: Metric) -> NDArray[np.float64]:
    """Scores, a row for each candidate. Infinity becomes a little better than the best finite score."""
    rows = [[np.nan if score is None else score for score in track.scores[metric.name]] for track in measured.tracks]
    table = np.array(rows, np.float64)
    known = table[~np.isnan(table)]
    return np.nan_to_num(table, nan=known.max() + 1 if known.size else 0.0)


def _apart(order: Sequence[int] | NDArray[np.intp], gap: int, count: int) -> Iterator[int]:
    """The first ``count`` numbers of ``order`` at a distance of at least ``gap`` from the numbers before them."""
    taken: list[int] = []
    for number in map(int, order):
        if len(taken) == count:
            return
        if all(abs(number - other) >= gap for other in taken):
            taken.append(number)
            yield number
