"""Comparison of the looks: crisp networks against faithful ones with any sharpness, on pictures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np

from train.degradations.av1 import EVALUATION_SPEED, Pair, decode, make_streams, stream_path
from train.evaluate import CLASSIC, REFERENCE, Method, method_of, models_of, network_method
from train.material.pictures import clip_planes, each_luma
from train.metrics import METRICS, vmaf

SHARPNESSES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class LookScore:
    """One picture, coded for one pair, upscaled by one method: "lanczos5", "TIER", "TIER SHARPNESS" or "TIER crisp"."""

    pair: str
    picture: str
    method: str
    psnr_y: float
    """Of 8-bit luma in dB, as all metrics here."""
    vmaf_neg: float
    st_lpips: float
    """Shift-tolerant LPIPS; less is better."""
    ssimulacra2: float


@dataclass(frozen=True)
class _Shown:
    """A column of the tables."""

    column: str
    title: str
    digits: int


COLUMNS: Final = (
    _Shown("psnr_y", "Y-PSNR, dB", 2),
    _Shown("vmaf_neg", "VMAF-NEG", 1),
    _Shown("st_lpips", "ST-LPIPS, less is better", 3),
    _Shown("ssimulacra2", "SSIMULACRA 2", 1),
)


def compare_looks(images: Path, streams: Path, pairs: Iterable[Pair], tiers: Sequence[str]) -> Iterator[LookScore]:
    """Score the looks of ``tiers`` on every picture of the folder ``images``, in float32, through `upscale`.

    Args:
        images: Folder of originals. Never one of training pictures.
        streams: Folder of their coded streams; missing ones are made.
        pairs: Ratios and compression levels; those for which no tier has a crisp look are skipped.
        tiers: Tiers to measure, where they have the look.
    """
    metrics = {name: METRICS.make(name) for name in ("psnr", "st-lpips", "ssimulacra2")}
    chosen = [pair for pair in pairs if any(_has_crisp(tier, pair) for tier in tiers)]
    make_streams(images, streams, chosen, EVALUATION_SPEED)
    originals = list(each_luma(images))
    for pair in chosen:
        methods = {REFERENCE: CLASSIC[REFERENCE]}
        for tier in tiers:
            if _has_crisp(tier, pair):
                methods |= _methods(tier)
        for name, original in originals:
            height, width = original.shape
            clip = decode(stream_path(streams, pair, name).read_bytes())
            lumas = [clip_planes(run(clip, pair, width, height))[0] for run in methods.values()]
            scores = vmaf(lumas, [original] * len(lumas), stills=True)
            for method, luma, of_vmaf in zip(methods, lumas, scores, strict=True):
                psnr, distance, ssimulacra2 = (metric(luma, original) for metric in metrics.values())
                yield LookScore(pair.slug, name, method, psnr, of_vmaf.neg, distance, ssimulacra2)


def look_table(scores: Sequence[LookScore], tier: str) -> str:
    """Means over pictures and pairs as Markdown; PSNR and VMAF-NEG are gains over Lanczos-5.

    The last row is that of the faithful network with the sharpness at which its PSNR is that of the crisp one: linear
    interpolation between the rows with a sharpness.
    """
    crisp = method_of(tier, "crisp")
    pairs = {score.pair for score in scores if score.method == crisp}
    rows = {
        method: np.array(
            [
                fmean(getattr(s, shown.column) for s in scores if s.method == method and s.pair in pairs)
                for shown in COLUMNS
            ]
        )
        for method in (REFERENCE, *(sharpened(tier, sharpness) for sharpness in SHARPNESSES), crisp)
    }
    reference = np.array([*rows[REFERENCE][:2], 0, 0])
    line = np.array([rows[sharpened(tier, sharpness)] for sharpness in SHARPNESSES])
    lines = ["| | " + " | ".join(shown.title for shown in COLUMNS) + " |", "| --- |" + " ---: |" * len(COLUMNS)]
    lines.append(_row(REFERENCE, rows.pop(REFERENCE), ""))
    lines += [_row(method, values - reference, "+") for method, values in rows.items()]
    if line[-1, 0] <= rows[crisp][0] <= line[0, 0]:
        # PSNR falls with sharpness.
        equal = [np.interp(rows[crisp][0], line[::-1, 0], line[::-1, column]) for column in range(len(COLUMNS))]
        lines.append(_row(f"{tier}, sharpened to the PSNR of {crisp}", np.array(equal) - reference, "+"))
    return "\n".join(lines)


def sharpened(tier: str, sharpness: float) -> str:
    """Name of the method for a tier's faithful models with ``sharpness``."""
    return f"{tier} {sharpness:g}" if sharpness else tier


def _row(title: str, values: "np.ndarray", sign: str) -> str:
    signs = (sign, sign, "", "")
    cells = [f"{v:{s}.{shown.digits}f}" for v, s, shown in zip(values, signs, COLUMNS, strict=True)]
    return f"| {title} | " + " | ".join(cells) + " |"


def _has_crisp(tier: str, pair: Pair) -> bool:
    return any(model.look == "crisp" for model in models_of(tier, pair.ratio))


def _methods(tier: str) -> dict[str, Method]:
    faithful = {sharpened(tier, sharpness): network_method(tier, sharpness=sharpness) for sharpness in SHARPNESSES}
    return {**faithful, method_of(tier, "crisp"): network_method(tier, look="crisp")}
