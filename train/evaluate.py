"""What a model gains over Lanczos, measured through the same ``vs_srcomp.upscale`` that users call."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean

import numpy as np
import vapoursynth as vs

from train.degrade import EVALUATION_SPEED, Pair, decode, make_streams, stream_path
from train.pictures import Plane, clip_planes, each_luma
from vs_srcomp.files import atomic_path, write_atomically
from vs_srcomp.geometry import QUANTIZERS, RATIOS, ratio_by_name
from vs_srcomp.models import models
from vs_srcomp.resample import lanczos5
from vs_srcomp.upscale import upscale

type Method = Callable[[vs.VideoNode, Pair, int, int], vs.VideoNode]
"""From the decoded clip, the pair and the target width and height to the upscaled clip."""

REFERENCE = "lanczos5"


@dataclass(frozen=True)
class Score:
    """One picture, coded for one pair, upscaled by one method."""

    pair: str
    picture: str
    method: str
    psnr_y: float
    """In dB, against a peak of 255, over the whole plane."""
    mean_drift: float
    """Mean of the luma minus that of the Lanczos-5 upscale, in codes."""
    bits_per_pixel: float
    """Size of the coded stream over the pixels of the original."""


def evaluate(images: Path, streams: Path, pairs: Iterable[Pair], tiers: Iterable[str]) -> Iterator[Score]:
    """Score every method on every picture of a folder.

    Args:
        images: The originals. Never a folder that was trained on.
        streams: Where their coded streams are kept; those that are missing are made.
        pairs: Which ratios and compression levels.
        tiers: Which models, beside the classic kernels; one that is not there for a pair is left out.
    """
    pairs = list(pairs)
    make_streams(images, streams, pairs, EVALUATION_SPEED)
    originals = list(each_luma(images))
    there = {(model.tier, model.ratio, model.q) for model in models()}
    for pair in pairs:
        methods = dict(CLASSIC) | {tier: _network(tier) for tier in tiers if (tier, pair.ratio.name, pair.q) in there}
        for name, original in originals:
            yield from _score_picture(stream_path(streams, pair, name), pair, name, original, methods)


def _score_picture(stream: Path, pair: Pair, name: str, original: Plane, methods: dict[str, Method]) -> Iterator[Score]:
    coded = stream.read_bytes()
    clip = decode(coded)
    height, width = original.shape
    restored = {method: clip_planes(run(clip, pair, width, height))[0] for method, run in methods.items()}
    reference = restored[REFERENCE].mean(dtype=np.float64)
    for method, luma in restored.items():
        drift = float(luma.mean(dtype=np.float64) - reference)
        yield Score(pair.slug, name, method, psnr(luma, original), drift, 8 * len(coded) / original.size)


def psnr(luma: Plane, original: Plane) -> float:
    """Peak signal-to-noise ratio of two 8-bit planes, in dB."""
    return float(10 * np.log10(255**2 / np.mean((luma.astype(np.float64) - original) ** 2)))


def _network(tier: str) -> Method:
    return lambda clip, pair, width, height: upscale(clip, ratio=pair.ratio.name, q=pair.q, model=tier)


CLASSIC: dict[str, Method] = {
    REFERENCE: lambda clip, pair, width, height: lanczos5(clip, width, height),
    "bicubic": lambda clip, pair, width, height: clip.resize.Bicubic(width, height),
    "spline36": lambda clip, pair, width, height: clip.resize.Spline36(width, height),
}


def write_csv(scores: list[Score], path: Path) -> None:
    """All scores, a row each."""
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


def gain_table(scores: list[Score]) -> str:
    """Mean gain in Y-PSNR over Lanczos-5 as Markdown: a row per method, a column per pair, and Lanczos' own PSNR."""
    mean = _mean_psnr(scores)
    columns = [Pair(ratio, q) for ratio in RATIOS for q in QUANTIZERS if (REFERENCE, Pair(ratio, q).slug) in mean]
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


def _mean_psnr(scores: list[Score]) -> dict[tuple[str, str], float]:
    """Mean over the pictures, by method and pair."""
    by_cell: dict[tuple[str, str], list[float]] = {}
    for score in scores:
        by_cell.setdefault((score.method, score.pair), []).append(score.psnr_y)
    return {cell: fmean(values) for cell, values in by_cell.items()}
