"""Comparison of the looks: crisp networks against faithful ones with any sharpness, on pictures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.degradations.av1 import EVALUATION_SPEED, Pair, decode, make_streams, pair_by_slug, stream_path
from train.evaluate import CLASSIC, REFERENCE, Method, OfPicture, method_of, models_of, network_method
from train.material.pictures import clip_planes, each_luma
from train.metrics import METRICS, vmaf
from vs_srcomp.geometry import RATIOS

type Values = NDArray[np.float64]
"""A number for each of :data:`COLUMNS`."""

SHARPNESSES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class LookScore(OfPicture):
    """The scores of `compare_looks`; methods are "lanczos5", "TIER", "TIER SHARPNESS" and "TIER crisp"."""

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


def compare_looks(
    images: Path, streams: Path, pairs: Iterable[Pair], tiers: Sequence[str], *, only_crisp: bool = False
) -> Iterator[LookScore]:
    """Score the looks of ``tiers`` on every picture of the folder ``images``, in float32, through `upscale`.

    Args:
        images: Folder of originals. Never one of training pictures.
        streams: Folder of their coded streams; missing ones are made.
        pairs: Ratios and compression levels; those for which no tier has a crisp look are skipped.
        tiers: Tiers to measure, where they have the look.
        only_crisp: Whether to leave out Lanczos-5 and the faithful networks.
    """
    metrics = {name: METRICS.make(name) for name in ("psnr", "st-lpips", "ssimulacra2")}
    chosen = [pair for pair in pairs if any(_has_crisp(tier, pair) for tier in tiers)]
    make_streams(images, streams, chosen, EVALUATION_SPEED)
    originals = list(each_luma(images))
    for pair in chosen:
        methods = {} if only_crisp else {REFERENCE: CLASSIC[REFERENCE]}
        for tier in tiers:
            if _has_crisp(tier, pair):
                methods |= ({} if only_crisp else _faithful(tier)) | _crisp(tier)
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

    The last row is that of `equal_psnr`, if there is such a sharpness.
    """
    rows = _means(scores, tier)
    reference = _reference(rows)
    lines = [*_header("")]
    lines.append(_row(REFERENCE, rows[REFERENCE], ""))
    lines += [_row(method, values - reference, "+") for method, values in rows.items() if method != REFERENCE]
    crisp = method_of(tier, "crisp")
    equal = equal_psnr([rows[sharpened(tier, sharpness)] for sharpness in SHARPNESSES], rows[crisp][0])
    if equal is not None:
        lines.append(_row(f"{tier}, sharpened to the PSNR of {crisp}", equal - reference, "+"))
    return "\n".join(lines)


def ratio_table(scores: Sequence[LookScore], tier: str) -> str:
    """Crisp, and the faithful network sharpened to its PSNR, by ratio, as Markdown; like :func:`look_table`."""
    crisp, lines = method_of(tier, "crisp"), [*_header("ratio")]
    for ratio in RATIOS:
        of_ratio = [score for score in scores if pair_by_slug(score.pair).ratio == ratio]
        if not any(score.method == crisp for score in of_ratio):
            continue
        rows = _means(of_ratio, tier)
        reference = _reference(rows)
        lines.append(_row(f"{ratio.name} | {tier}", rows[tier] - reference, "+"))
        lines.append(_row(f"{ratio.name} | {crisp}", rows[crisp] - reference, "+"))
        equal = equal_psnr([rows[sharpened(tier, sharpness)] for sharpness in SHARPNESSES], rows[crisp][0])
        if equal is not None:
            lines.append(_row(f"{ratio.name} | {tier}, sharpened to that PSNR", equal - reference, "+"))
    return "\n".join(lines)


def equal_psnr(line: Sequence[Values], psnr_y: float) -> Values | None:
    """The scores where PSNR is ``psnr_y`` on the ``line`` of rising sharpness, by linear interpolation.

    It is the first such place; None if there is none.
    """
    for before, after in pairwise(line):
        if after[0] <= psnr_y <= before[0]:
            share = (before[0] - psnr_y) / (before[0] - after[0]) if after[0] < before[0] else 0.0
            found: Values = before + share * (after - before)
            return found
    return None


def _means(scores: Sequence[LookScore], tier: str) -> dict[str, Values]:
    """Means of the columns by method, over the pairs that have the crisp look.

    Raises:
        ValueError: The crisp one alone was measured for a pair.
    """
    crisp = method_of(tier, "crisp")
    pairs = {score.pair for score in scores if score.method == crisp}
    if not pairs <= {score.pair for score in scores if score.method == tier}:
        raise ValueError(f"there is nothing to compare {crisp} with: measure the faithful networks, too")
    return {
        method: np.array(
            [
                fmean(getattr(s, shown.column) for s in scores if s.method == method and s.pair in pairs)
                for shown in COLUMNS
            ]
        )
        for method in (REFERENCE, *(sharpened(tier, sharpness) for sharpness in SHARPNESSES), crisp)
    }


def _reference(rows: dict[str, Values]) -> Values:
    """What the columns are relative to: PSNR and VMAF-NEG to Lanczos-5."""
    return np.array([*rows[REFERENCE][:2], 0, 0])


def sharpened(tier: str, sharpness: float) -> str:
    """Name of the method for a tier's faithful models with ``sharpness``."""
    return f"{tier} {sharpness:g}" if sharpness else tier


def _header(first: str) -> Iterator[str]:
    titles = ([f" {first} "] if first else []) + [" ", *(f" {shown.title} " for shown in COLUMNS)]
    yield f"|{'|'.join(titles)}|"
    yield "| --- |" + " --- |" * bool(first) + " ---: |" * len(COLUMNS)


def _row(title: str, values: Values, sign: str) -> str:
    signs = (sign, sign, "", "")
    cells = [f"{v:{s}.{shown.digits}f}" for v, s, shown in zip(values, signs, COLUMNS, strict=True)]
    return f"| {title} | " + " | ".join(cells) + " |"


def _has_crisp(tier: str, pair: Pair) -> bool:
    return any(model.look == "crisp" for model in models_of(tier, pair.ratio))


def _faithful(tier: str) -> dict[str, Method]:
    return {sharpened(tier, sharpness): network_method(tier, sharpness=sharpness) for sharpness in SHARPNESSES}


def _crisp(tier: str) -> dict[str, Method]:
    return {method_of(tier, "crisp"): network_method(tier, look="crisp")}
