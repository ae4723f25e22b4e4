"""Scores as files: every single one as CSV, their means as tables in the documents and in the catalogue of models."""

import csv
import json
import re
from dataclasses import asdict, fields
from pathlib import Path
from statistics import fmean

from train.degrade import PAIRS, Pair
from train.evaluate import REFERENCE, Score
from vs_srcomp.files import atomic_path, write_atomically
from vs_srcomp.geometry import ratio_by_name


def gain_table(scores: list[Score]) -> str:
    """Mean gain in Y-PSNR over Lanczos-5 as Markdown: a row per method, a column per pair, and Lanczos' own PSNR."""
    mean = _mean_psnr(scores)
    columns = [pair for pair in PAIRS if (REFERENCE, pair.slug) in mean]
    lines = [
        "| | " + " | ".join(f"{pair.ratio.name} Q{pair.q}" for pair in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
        f"| {REFERENCE}, dB | " + " | ".join(f"{mean[REFERENCE, pair.slug]:.2f}" for pair in columns) + " |",
    ]
    for method in dict.fromkeys(score.method for score in scores if score.method != REFERENCE):
        gains = (
            f"{mean[method, pair.slug] - mean[REFERENCE, pair.slug]:+.2f}" if (method, pair.slug) in mean else "-"
            for pair in columns
        )
        lines.append(f"| {method} | " + " | ".join(gains) + " |")
    return "\n".join(lines)


def write_scores(scores: list[Score], path: Path) -> None:
    """All scores, a row each."""
    path.parent.mkdir(exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Score)], lineterminator="\n")
        writer.writeheader()
        for score in scores:
            row = asdict(score)
            writer.writerow(row | {key: round(value, 4) for key, value in row.items() if isinstance(value, float)})


def record_gains(scores: list[Score], set_name: str, catalogue: Path) -> None:
    """Note each model's mean gain on the set in the catalogue of models."""
    entries = json.loads(catalogue.read_text("utf-8"))
    mean = _mean_psnr(scores)
    for entry in entries["models"]:
        slug = Pair(ratio_by_name(entry["ratio"]), entry["q"]).slug
        if (entry["tier"], slug) in mean:
            entry["gain_db"][set_name] = round(mean[entry["tier"], slug] - mean[REFERENCE, slug], 3)
    write_atomically(catalogue, (json.dumps(entries, indent=2) + "\n").encode())


def write_tables(scores: dict[str, list[Score]], documents: list[Path]) -> None:
    """Put the table of each set where a document has ``<!-- gains: NAME -->`` ... ``<!-- end -->``."""
    for path in documents:
        text = path.read_text("utf-8")
        for name, of_set in scores.items():
            mark = f"<!-- gains: {name} -->"
            text = re.sub(
                f"{re.escape(mark)}.*?<!-- end -->",
                f"{mark}\n{gain_table(of_set)}\n<!-- end -->",
                text,
                flags=re.DOTALL,
            )
        write_atomically(path, text.encode())


def _mean_psnr(scores: list[Score]) -> dict[tuple[str, str], float]:
    """Mean over the pictures, by method and pair."""
    by_cell: dict[tuple[str, str], list[float]] = {}
    for score in scores:
        by_cell.setdefault((score.method, score.pair), []).append(score.psnr_y)
    return {cell: fmean(values) for cell, values in by_cell.items()}
