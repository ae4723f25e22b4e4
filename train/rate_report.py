"""docs/results/rate.md: curves of quality over bits, gains at equal rate, and Bjontegaard rates."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import numpy as np
from numpy.typing import NDArray

from train.evaluate import REFERENCE
from train.rate import FULL_SIZE, NATIVE, STILLS, VIDEOS, Point
from train.report import replace_marked
from vs_srcomp.files import atomic_path, write_atomically
from vs_srcomp.geometry import RATIOS
from vs_srcomp.models import TIERS

BANDS = ((0.005, 0.02), (0.02, 0.1), (0.1, 0.4), (0.4, 1.5))
"""Rates in bits per pixel between which gains are averaged."""

_WIDTH = 120
"""Line length of documents."""

_RESAMPLES = 2000
_FEWEST = 3
"""Fewest clips for an interval."""

_SAMPLES = 64
"""Samples of a curve within a band, evenly on a logarithmic scale."""


@dataclass(frozen=True)
class Metric:
    """A metric of plots and tables."""

    title: str
    of: Callable[[Point], float]
    digits: int


METRICS = (
    Metric("PSNR-Y, dB", lambda point: point.psnr_y, 2),
    Metric("VMAF-NEG", lambda point: point.vmaf_neg, 1),
)


@dataclass(frozen=True)
class Interval:
    """A mean over clips, and its 95 % confidence interval: percentiles of the means of resampled clips."""

    mean: float
    low: float
    high: float
    clips: int


def interval(values: Sequence[float]) -> Interval | None:
    """The interval of ``values``; None if there are none. That of a single value is the value itself."""
    if not values:
        return None
    rng = np.random.default_rng(1)
    data = np.array(values, np.float64)
    means = data[rng.integers(0, len(data), (_RESAMPLES, len(data)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(data.mean()), float(low), float(high), len(data))


@dataclass(frozen=True)
class Curve:
    """Quality over rate of one clip and method, both rising."""

    rates: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Quality at ``rates``, by a cubic that is monotonic between the points (PCHIP), over the logarithm."""
        from scipy.interpolate import PchipInterpolator

        return np.asarray(PchipInterpolator(np.log(self.rates), self.values)(np.log(rates)))


def curve(points: Iterable[Point], metric: Metric) -> Curve | None:
    """The curve of one clip and method, without points of more bits and lower quality; None below two points."""
    kept: list[tuple[float, float]] = []
    for rate, value in sorted((point.bits_per_pixel, metric.of(point)) for point in points):
        if np.isfinite(value) and (not kept or (rate > kept[-1][0] and value > kept[-1][1])):
            kept.append((rate, value))
    if len(kept) < 2:
        return None
    rates, values = np.array(kept).T
    return Curve(rates, values)


def gain(test: Curve, anchor: Curve, band: tuple[float, float]) -> float | None:
    """Mean of ``test`` minus ``anchor`` at equal rates in ``band``; None unless both cover half of it."""
    low = max(band[0], test.rates[0], anchor.rates[0])
    high = min(band[1], test.rates[-1], anchor.rates[-1])
    if low >= high or np.log(high / low) < 0.5 * np.log(band[1] / band[0]):
        return None
    rates = np.geomspace(low, high, _SAMPLES)
    return float(np.mean(test.at(rates) - anchor.at(rates)))


def bjontegaard(test: Curve, anchor: Curve) -> float | None:
    """Bjontegaard's mean rate difference at equal quality in percent, by Akima interpolation.

    Negative values are fewer bits. None if the curves share less than a quarter of the quality range of ``test``, or
    have fewer than four points.
    """
    from bjontegaard import bd_rate

    if min(len(test.rates), len(anchor.rates)) < 4:
        return None
    common = min(test.values[-1], anchor.values[-1]) - max(test.values[0], anchor.values[0])
    if common < 0.25 * (test.values[-1] - test.values[0]):
        return None
    with warnings.catch_warnings():
        # The overlap was checked above.
        warnings.simplefilter("ignore")
        return float(
            bd_rate(
                anchor.rates,
                anchor.values,
                test.rates,
                test.values,
                method="akima",
                require_matching_points=False,
                min_overlap=0.0,
            )
        )


type Curves = dict[tuple[str, str], dict[str, Curve]]
"""Curves by ratio and method, then by clip."""


def curves_of(points: Iterable[Point], of_set: str, metric: Metric) -> Curves:
    """All curves of a set."""
    groups: dict[tuple[str, str], dict[str, list[Point]]] = {}
    for point in points:
        if point.set == of_set:
            groups.setdefault((point.ratio, point.method), {}).setdefault(point.clip, []).append(point)
    return {
        key: {clip: found for clip, own in clips.items() if (found := curve(own, metric))}
        for key, clips in groups.items()
    }


def gain_table(curves: Curves, metric: Metric) -> str:
    """Gain over native AV1 at equal rate in each band and Bjontegaard rates, with intervals, as Markdown."""
    anchors = curves.get((FULL_SIZE, NATIVE), {})
    head = ["ratio", "method", *(f"{low:g} to {high:g} bpp" for low, high in BANDS), "Bjontegaard rate, %"]
    rows = []
    for ratio, method in _ordered(curves):
        own = curves[ratio, method]
        pairs = [(each, anchors[clip]) for clip, each in own.items() if clip in anchors]
        cells = []
        for band in BANDS:
            gains = [found for test, anchor in pairs if (found := gain(test, anchor, band)) is not None]
            cells.append(_cell(interval(gains), metric.digits))
        rates = [found for test, anchor in pairs if (found := bjontegaard(test, anchor)) is not None]
        cells.append(_cell(interval(rates), 1))
        rows.append([ratio, method, *cells])
    # Stills and videos differ in rate: bands that no clip reaches are omitted.
    kept = [column for column in range(len(head)) if any(row[column] for row in rows)]
    lines = ["| " + " | ".join(row[column] for column in kept) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "| --- | --- |" + " ---: |" * (len(kept) - 2), *lines[1:]])


def _ordered(curves: Curves) -> list[tuple[str, str]]:
    ratios = [ratio.name for ratio in RATIOS]
    return sorted((key for key in curves if key[0] != FULL_SIZE), key=lambda key: (ratios.index(key[0]), _rank(key[1])))


def _rank(method: str) -> int:
    """The place of a method in tables: Lanczos-5, then the tiers by rising cost."""
    order = (REFERENCE, *reversed(TIERS))
    return order.index(method) if method in order else len(order)


def _cell(found: Interval | None, digits: int) -> str:
    if found is None:
        return ""
    if found.clips < _FEWEST:
        return f"{found.mean:+.{digits}f} ({found.clips})"
    return f"{found.mean:+.{digits}f} ({found.low:+.{digits}f} to {found.high:+.{digits}f}, {found.clips})"


def plot(points: Sequence[Point], path: Path) -> None:
    """Mean curves of each set and metric, a panel each, as the picture ``path``."""
    from matplotlib.figure import Figure

    sets = [name for name in (STILLS, VIDEOS) if any(point.set == name for point in points)]
    figure = Figure(figsize=(11, 4.4 * len(sets)), layout="constrained")
    panels = figure.subplots(len(sets), len(METRICS), squeeze=False)
    colours = {FULL_SIZE: "black", "2:1": "tab:red", "8:5": "tab:green", "4:3": "tab:blue"}
    for row, of_set in enumerate(sets):
        for panel, metric in zip(panels[row], METRICS, strict=True):
            curves = curves_of(points, of_set, metric)
            drawn = _drawn(curves)
            for (ratio, method), clips in curves.items():
                if method not in drawn:
                    continue
                rates, values = _mean_curve(clips)
                panel.plot(
                    rates,
                    values,
                    color=colours[ratio],
                    linestyle=":" if method == REFERENCE else "-",
                    linewidth=2 if method == NATIVE else 1.4,
                    label="native AV1" if method == NATIVE else f"{ratio} {method}",
                )
            number = len(curves.get((FULL_SIZE, NATIVE), {}))
            panel.set(xscale="log", xlabel="bits per pixel", ylabel=metric.title, title=f"{of_set}, mean of {number}")
            panel.grid(alpha=0.3)
    panels[0][0].legend(fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)


def _drawn(curves: Curves) -> set[str]:
    """The methods of the plot: native AV1, Lanczos and one tier, which others would hide.

    The tier is ``fast``, or the best that was measured below it; without either, the best.
    """
    tiers = sorted({method for _, method in curves} - {NATIVE, REFERENCE}, key=_rank)
    best = [method for method in tiers if _rank(method) <= _rank("fast")] or tiers
    return {NATIVE, REFERENCE, *best[-1:]}


def _mean_curve(clips: dict[str, Curve]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of all clips at their common rates."""
    low = max(each.rates[0] for each in clips.values())
    high = min(each.rates[-1] for each in clips.values())
    if low >= high:
        return np.array([]), np.array([])
    rates = np.geomspace(low, high, _SAMPLES)
    return rates, np.mean([each.at(rates) for each in clips.values()], axis=0)


def crossings(curves: Curves) -> dict[tuple[str, str], str]:
    """The rate up to which each method is better than native AV1, by the mean curves, as text: "0.12", "never"."""
    rates, native = _mean_curve(curves[FULL_SIZE, NATIVE])
    found = {}
    for key in _ordered(curves):
        own_rates, own = _mean_curve(curves[key])
        if not len(own_rates) or not len(rates):
            continue
        inside = (rates >= own_rates[0]) & (rates <= own_rates[-1])
        better = np.interp(np.log(rates[inside]), np.log(own_rates), own) > native[inside]
        if better.any():
            # Nothing is known beyond the common rates of all clips.
            found[key] = f"{'at least ' if better[-1] else ''}{rates[inside][better].max():.2f}"
        else:
            found[key] = "never"
    return found


def tables(points: Sequence[Point]) -> dict[str, str]:
    """All tables by their mark in the document: "stills PSNR-Y"."""
    found = {}
    for of_set in (STILLS, VIDEOS):
        for metric in METRICS:
            curves = curves_of(points, of_set, metric)
            if curves.get((FULL_SIZE, NATIVE)):
                text = gain_table(curves, metric)
                ends = ", ".join(f"{ratio} {method} {rate}" for (ratio, method), rate in crossings(curves).items())
                ends = f"Better than native AV1 up to, in bits per pixel, by the mean curves: {ends}."
                text += "\n\n" + fill(ends, _WIDTH)
                found[f"{of_set} {metric.title.partition(',')[0]}"] = text
    return found


def summary(points: Sequence[Point]) -> str:
    """The measured clips, tiers and levels as text."""
    parts = []
    for of_set in (STILLS, VIDEOS):
        own = [point for point in points if point.set == of_set]
        if own:
            methods = sorted({point.method for point in own} - {NATIVE}, key=_rank)
            levels = sorted({point.level for point in own})
            clips = ", ".join(dict.fromkeys(point.clip for point in own))
            quantizers = ", ".join(map(str, levels))
            parts.append(f"{of_set} {clips} with {', '.join(methods)}, at the quantizers {quantizers}")
    return fill(f"Measured: {'; '.join(parts)}; {len(points)} points.", _WIDTH)


def record(points: Sequence[Point], document: Path) -> None:
    """Write tables and plot into ``document``, between its marks, and to ``rate.svg`` beside it."""
    plot(points, document.with_suffix(".svg"))
    text = document.read_text("utf-8")
    picture = f"![Quality over bits per pixel]({document.with_suffix('.svg').name})"
    text = replace_marked(text, "rate: measured", f"{summary(points)}\n\n{picture}")
    for mark, table in tables(points).items():
        text = replace_marked(text, f"rate: {mark}", table)
    write_atomically(document, text.encode())
