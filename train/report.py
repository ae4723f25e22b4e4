"""Scores as CSV, and their means as tables in the documents and in the catalogue of models."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from train.catalogue import read_entries, write_entries
from train.evaluate import REFERENCE, Score, method_of
from train.pairs import PAIRS, Pair, pair_by_slug
from vs_srcomp.files import write_atomically
from vs_srcomp.geometry import QUANTIZERS, RATIOS, ratio_by_name
from vs_srcomp.models.catalogue import SYSTEM


@dataclass(frozen=True)
class Metric:
    """Presentation of a metric."""

    mark: str
    """Mark of its tables in the documents: ``<!-- MARK: SET -->`` ... ``<!-- end -->``."""
    column: str
    """Field of :class:`Score`."""
    title: str
    digits: int
    unit: str = ""
    has_mean: bool = True
    """Whether its table ends with the mean over the pairs."""


PSNR = Metric("gains", "psnr_y", "Y-PSNR", 2, ", dB", has_mean=False)
METRICS = (
    PSNR,
    Metric("ssim", "ssim_y", "Y-SSIM", 4),
    Metric("vmaf", "vmaf", "VMAF", 1),
    Metric("vmaf-neg", "vmaf_neg", "VMAF-NEG", 1),
)
RATE = Metric("rate", "bits_per_pixel", "Bits per pixel", 3)


def gain_table(scores: Sequence[Score], metric: Metric = PSNR) -> str:
    """Mean gain over Lanczos-5 as Markdown: a row per method, a column per pair, and the score of Lanczos-5."""
    mean = _means(scores, metric)
    columns = _columns(mean)
    reference = {slug: mean[REFERENCE, slug] for slug in columns}
    lines = [*_header(columns, metric), _row(REFERENCE + metric.unit, reference, columns, metric, "")]
    for method in dict.fromkeys(score.method for score in scores if score.method != REFERENCE):
        gains = {slug: mean[method, slug] - reference[slug] for slug in columns if (method, slug) in mean}
        lines.append(_row(method, gains, columns, metric, "+"))
    return "\n".join(lines)


def mean_table(scores: Sequence[Score]) -> str:
    """Mean gain over Lanczos-5 over the pairs, as Markdown: a row per method that has all, a column per metric."""
    shown = [metric for metric in METRICS if _is_measured(scores, metric)]
    pairs: dict[str, set[str]] = {}
    for score in scores:
        pairs.setdefault(score.method, set()).add(score.pair)
    rows = {method: [method] for method in pairs if pairs[method] == pairs[REFERENCE]}
    for metric in shown:
        cells = _means(scores, metric)
        mean = {method: fmean(cells[method, slug] for slug in pairs[method]) for method in rows}
        for method, row in rows.items():
            is_reference = method == REFERENCE
            value = mean[method] - (0 if is_reference else mean[REFERENCE])
            row.append(f"{value:{'' if is_reference else '+'}.{metric.digits}f}")
    header = [
        "| | " + " | ".join(metric.title + metric.unit for metric in shown) + " |",
        "| --- |" + " ---: |" * len(shown),
    ]
    return "\n".join([*header, *(f"| {' | '.join(row)} |" for row in rows.values())])


def rate_table(scores: Sequence[Score]) -> str:
    """Mean size of the coded pictures in bits per pixel of the original, as Markdown."""
    mean = _means(scores, RATE)
    columns = _columns(mean)
    rates = {slug: mean[REFERENCE, slug] for slug in columns}
    return "\n".join([*_header(columns, RATE), _row("bits per pixel", rates, columns, RATE, "")])


def _columns(mean: Iterable[tuple[str, str]]) -> list[str]:
    """The pairs that Lanczos-5 was measured at, in order, of cells (method, pair)."""
    pairs = [pair_by_slug(slug) for method, slug in mean if method == REFERENCE]
    return [pair.slug for pair in sorted(pairs, key=lambda pair: (RATIOS.index(pair.ratio), pair.q))]


def _header(slugs: Sequence[str], metric: Metric) -> list[str]:
    pairs = [pair_by_slug(slug) for slug in slugs]
    titles = [f"{pair.ratio.name} Q{pair.q}" for pair in pairs] + ["mean"] * metric.has_mean
    return ["| | " + " | ".join(titles) + " |", "| --- |" + " ---: |" * len(titles)]


def _row(title: str, values: Mapping[str, float], slugs: Sequence[str], metric: Metric, sign: str) -> str:
    cells = [f"{values[slug]:{sign}.{metric.digits}f}" if slug in values else "-" for slug in slugs]
    if metric.has_mean:
        # A mean over fewer pairs could not be compared with those of other rows.
        cells.append(f"{fmean(values.values()):{sign}.{metric.digits}f}" if len(values) == len(slugs) else "-")
    return f"| {title} | " + " | ".join(cells) + " |"


def summary_table(scores: Sequence[Score], costs: Mapping[str, float]) -> str:
    """Mean gain over Lanczos-5 over the levels of each ratio, as Markdown: a row for Lanczos-5 and for each tier.

    Args:
        scores: Scores of one set.
        costs: Multiply-accumulates per output pixel, by tier, in the order of the rows.
    """
    mean = _means(scores, PSNR)
    slugs = {ratio.name: [pair.slug for pair in PAIRS if pair.ratio == ratio] for ratio in RATIOS}
    lines = [f"| Y-PSNR | {' | '.join(slugs)} | work, kMAC per pixel |", f"| --- |{' ---: |' * (len(slugs) + 1)}"]
    for method in (REFERENCE, *costs):
        is_reference = method == REFERENCE
        cells = [f"`{method}`" if not is_reference else "Lanczos-5"]
        for of_ratio in slugs.values():
            if all((name, slug) in mean for slug in of_ratio for name in (method, REFERENCE)):
                value = fmean(mean[method, slug] - (0 if is_reference else mean[REFERENCE, slug]) for slug in of_ratio)
                cells.append(f"{value:{'' if is_reference else '+'}.2f} dB")
            else:
                cells.append("-")
        cells.append("" if is_reference else f"{costs[method] / 1000:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def costs_of_tiers(catalogue: Path) -> dict[str, float]:
    """Multiply-accumulates per output pixel of each tier, in rising order; the largest of its ratios."""
    costs: dict[str, float] = {}
    for entry in json.loads(catalogue.read_text("utf-8"))["models"]:
        if entry["system"] == SYSTEM:
            costs[entry["tier"]] = max(entry["macs_per_pixel"], costs.get(entry["tier"], 0))
    return dict(sorted(costs.items(), key=lambda item: item[1]))


def tables(scores: Sequence[Score]) -> Iterator[tuple[Metric, str]]:
    """The tables of all measured metrics, and that of the sizes."""
    for metric in METRICS:
        if _is_measured(scores, metric):
            yield metric, gain_table(scores, metric)
    yield RATE, rate_table(scores)


def _is_measured(scores: Sequence[Score], metric: Metric) -> bool:
    return all(getattr(score, metric.column) is not None for score in scores)


def write_report(scores: Sequence[Score], name: str, path: Path) -> None:
    """Write all tables of a set, and the score of each picture, as Markdown."""
    pictures = len({score.picture for score in scores})
    parts = [f"# {name}, {pictures} pictures"]
    for metric, table in tables(scores):
        what = "" if metric is RATE else f", gain over {REFERENCE}"
        parts += [f"## {metric.title}{what}", table]
    shown = [metric for metric in METRICS if _is_measured(scores, metric)]
    for slug in dict.fromkeys(score.pair for score in scores):
        pair = pair_by_slug(slug)
        titles = ["picture", "method", *(metric.title for metric in shown), "bits per pixel"]
        rows = ["| " + " | ".join(titles) + " |", "| --- | --- |" + " ---: |" * (len(titles) - 2)]
        for score in scores:
            if score.pair == slug:
                cells = [f"{getattr(score, metric.column):.{metric.digits}f}" for metric in [*shown, RATE]]
                rows.append("| " + " | ".join([score.picture, score.method, *cells]) + " |")
        parts += [f"## {pair.ratio.name} Q{pair.q}, each picture", "\n".join(rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, ("\n\n".join(parts) + "\n").encode())


def record_gains(scores: Sequence[Score], set_name: str, catalogue: Path) -> None:
    """Store each model's mean gain over the levels of its ratio in the catalogue, if all are measured."""
    entries = read_entries(catalogue)
    mean = _means(scores, PSNR)
    for entry in entries:
        if entry["system"] != SYSTEM:
            continue  # No ratio: it is measured elsewhere.
        method = method_of(entry["tier"], entry["look"])
        slugs = [Pair(ratio_by_name(entry["ratio"]), q).slug for q in QUANTIZERS]
        if all((method, slug) in mean for slug in slugs):
            gain = fmean(mean[method, slug] - mean[REFERENCE, slug] for slug in slugs)
            # Three digits, rounded again to two, would not be what tables say.
            entry["gain_db"][set_name] = round(gain, 4)
    write_entries(entries, catalogue)


def write_tables(
    scores: Mapping[str, Sequence[Score]], documents: Iterable[Path], costs: Mapping[str, float] | None = None
) -> None:
    """Put the tables of each set between ``<!-- gains: NAME -->`` and ``<!-- end -->`` in documents.

    ``gains`` stands for Y-PSNR; ``ssim``, ``vmaf``, ``vmaf-neg`` and ``rate`` for the other tables. Tables of metrics
    that were not measured stay. ``means`` stands for the means of all metrics over the pairs, ``summary`` for
    :func:`summary_table`, which needs the ``costs``.
    """
    for path in documents:
        text = path.read_text("utf-8")
        for name, of_set in scores.items():
            for metric, table in tables(of_set):
                text = replace_marked(text, f"{metric.mark}: {name}", table)
            text = replace_marked(text, f"means: {name}", mean_table(of_set))
            if costs:
                text = replace_marked(text, f"summary: {name}", summary_table(of_set, costs))
        write_atomically(path, text.encode())


def check_places(marks: Iterable[str], document: Path) -> None:
    """Check that ``document`` has a place for the table of each of ``marks``; ValueError if not."""
    missing = [mark for mark in marks if not has_place(mark, document)]
    if missing:
        places = "; ".join(f"<!-- {mark} --> and <!-- end -->" for mark in missing)
        raise ValueError(f"{document} has no place for tables: write {places} there")


def has_place(mark: str, document: Path) -> bool:
    """Whether ``document`` has a place for the table of ``mark``."""
    return bool(re.search(_place(mark), document.read_text("utf-8"), re.DOTALL))


def write_marked(tables: Mapping[str, str], document: Path) -> None:
    """Put ``tables``, by mark, in their places in ``document``. Raises the errors of :func:`check_places`."""
    check_places(tables, document)
    text = document.read_text("utf-8")
    for mark, table in tables.items():
        text = replace_marked(text, mark, table)
    write_atomically(document, text.encode())


def replace_marked(text: str, mark: str, table: str) -> str:
    """Put ``table`` between all ``<!-- MARK -->`` and ``<!-- end -->`` in ``text``."""
    return re.sub(_place(mark), lambda _: f"<!-- {mark} -->\n{table}\n<!-- end -->", text, flags=re.DOTALL)


def _place(mark: str) -> str:
    return f"{re.escape(f'<!-- {mark} -->')}.*?<!-- end -->"


def _means(scores: Iterable[Score], metric: Metric) -> dict[tuple[str, str], float]:
    """Mean over the pictures, by method and pair."""
    by_cell: dict[tuple[str, str], list[float]] = {}
    for score in scores:
        by_cell.setdefault((score.method, score.pair), []).append(getattr(score, metric.column))
    return {cell: fmean(values) for cell, values in by_cell.items()}
