"""Comparison of the looks: crisp networks against faithful ones with any sharpness, on pictures."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.coding import EVALUATION_SPEED, decode
from train.evaluate import (
    CLASSIC,
    REFERENCE,
    Method,
    PictureScore,
    check_pictures,
    method_of,
    models_of,
    network_method,
)
from train.material.pictures import Plane, clip_planes, each_luma
from train.metrics import METRICS, vmaf
from train.pairs import Pair, pair_by_slug
from train.streams import make_streams, stream_path
from vs_srcomp.geometry import RATIOS

type Values = NDArray[np.float64]
"""A number for each of :data:`COLUMNS`."""

SHARPNESSES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)

# Steps of sharpness in the search for that of equal PSNR, and the rounding of polynomials in dB.
_STEPS, _EXACT = 2000, 1e-9


@dataclass(frozen=True)
class LookScore(PictureScore):
    """One score of `compare_looks`; methods are "lanczos5", "TIER", "TIER SHARPNESS" and "TIER crisp"."""

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
    scorer = LookScorer()
    chosen = [pair for pair in pairs if any(_has_crisp(tier, pair) for tier in tiers)]
    make_streams(images, streams, chosen, EVALUATION_SPEED)
    originals = list(each_luma(images))
    for pair in chosen:
        methods = {} if only_crisp else {REFERENCE: CLASSIC[REFERENCE]}
        for tier in tiers:
            if _has_crisp(tier, pair):
                methods |= ({} if only_crisp else _faithful(tier)) | _crisp(tier)
        for path, original in originals:
            height, width = original.shape
            clip = decode(stream_path(streams, pair, path).read_bytes())
            lumas = {method: clip_planes(run(clip, pair, width, height))[0] for method, run in methods.items()}
            yield from scorer.scores(pair.slug, path.stem, lumas, original)


class LookScorer:
    """Scores what several methods made of a picture by all metrics of a `LookScore`."""

    def __init__(self) -> None:
        """Make the metrics; ValueError if one is not installed."""
        self._metrics = [METRICS.make(name) for name in ("psnr", "st-lpips", "ssimulacra2")]

    def scores(self, pair: str, picture: str, lumas: Mapping[str, Plane], original: Plane) -> Iterator[LookScore]:
        """The scores of ``lumas``, by method, against ``original``, all of one size."""
        of_all = vmaf(list(lumas.values()), [original] * len(lumas), stills=True)
        for (method, luma), of_vmaf in zip(lumas.items(), of_all, strict=True):
            psnr, distance, ssimulacra2 = (metric(luma, original) for metric in self._metrics)
            yield LookScore(pair, picture, method, psnr, of_vmaf.neg, distance, ssimulacra2)


def look_table(scores: Sequence[LookScore], tier: str) -> str:
    """Means over pictures and pairs as Markdown; PSNR and VMAF-NEG are gains over Lanczos-5.

    The last row is that of `equal_psnr`, if there is such a sharpness.

    Raises:
        ValueError: Not all rows were measured on the same pictures and pairs.
    """
    rows = _means(scores, tier)
    reference = _reference(rows)
    crisp = method_of(tier, "crisp")
    equal = equal_psnr([rows[method] for method in _line(tier)], rows[crisp][0])
    lines = [_header(""), _row(REFERENCE, rows[REFERENCE], "")]
    lines += [_row(method, values - reference, "+") for method, values in rows.items() if method != REFERENCE]
    if equal is not None:
        lines.append(_row(f"{tier}, sharpened to the PSNR of {crisp}", equal - reference, "+"))
    return "\n".join(lines)


def ratio_table(scores: Sequence[LookScore], tier: str) -> str:
    """Crisp, and the faithful network sharpened to its PSNR, by ratio, as Markdown; like :func:`look_table`."""
    crisp, lines = method_of(tier, "crisp"), [_header("ratio")]
    for ratio in RATIOS:
        of_ratio = [score for score in scores if pair_by_slug(score.pair).ratio == ratio]
        if not any(score.method == crisp for score in of_ratio):
            continue
        rows = _means(of_ratio, tier)
        reference = _reference(rows)
        equal = equal_psnr([rows[method] for method in _line(tier)], rows[crisp][0])
        lines += [_row(f"{ratio.name} | {method}", rows[method] - reference, "+") for method in (tier, crisp)]
        if equal is not None:
            lines.append(_row(f"{ratio.name} | {tier}, sharpened to that PSNR", equal - reference, "+"))
    return "\n".join(lines)


def equal_psnr(line: Sequence[Values], psnr_y: float) -> Values | None:
    """The scores at the least sharpness with the PSNR ``psnr_y``, None if there is none.

    ``line`` has the scores at `SHARPNESSES`; between them is the polynomial through all. Linear interpolation would
    favour what it is compared with, because PSNR falls with the square of the sharpness.
    """
    coefficients = np.polyfit(SHARPNESSES, np.array(line), len(SHARPNESSES) - 1)
    values: Values = np.vander(np.linspace(0, 1, _STEPS + 1), len(SHARPNESSES)) @ coefficients
    found: Values
    for found, after in pairwise(values):
        low, high = sorted((found[0], after[0]))
        if low - _EXACT <= psnr_y <= high + _EXACT:
            return found
    return None


def marks_of(images: Path, tier: str) -> tuple[str, str]:
    """Marks of the places for :func:`look_table` and :func:`ratio_table` of a set in the document."""
    return f"looks: {images.name} {tier}", f"looks by ratio: {images.name} {tier}"


def crisp_tiers(tiers: Iterable[str], pairs: Iterable[Pair]) -> list[str]:
    """Those of ``tiers`` that have the crisp look at one of ``pairs``."""
    pairs = list(pairs)
    return [tier for tier in tiers if any(_has_crisp(tier, pair) for pair in pairs)]


def check_faithful(scores: Sequence[LookScore], tier: str, pairs: Iterable[Pair]) -> None:
    """Check that ``scores`` have what crisp is compared with at ``pairs``; ValueError if not."""
    for pair in pairs:
        measured = {score.method for score in scores if score.pair == pair.slug}
        if _has_crisp(tier, pair) and not {REFERENCE, *_line(tier)} <= measured:
            raise ValueError(f"there is nothing to compare {tier} crisp with at {pair.slug}: leave out --only-crisp")


def _line(tier: str) -> list[str]:
    """The methods of rising sharpness."""
    return [sharpened_name(tier, sharpness) for sharpness in SHARPNESSES]


def _means(scores: Sequence[LookScore], tier: str) -> dict[str, Values]:
    """Means of the columns by method, over the pairs that have the crisp look."""
    crisp = method_of(tier, "crisp")
    pairs = {score.pair for score in scores if score.method == crisp}
    methods = [REFERENCE, *_line(tier), crisp]
    shown = [score for score in scores if score.pair in pairs and score.method in methods]
    check_pictures(shown)
    means = {}
    for method in methods:
        own = [score for score in shown if score.method == method]
        if {score.pair for score in own} != pairs:
            raise ValueError(f"{method} was not measured at all pairs that {crisp} was: measure both again")
        means[method] = np.array([fmean(getattr(score, column.column) for score in own) for column in COLUMNS])
    return means


def _reference(rows: dict[str, Values]) -> Values:
    """What the columns are relative to: PSNR and VMAF-NEG to Lanczos-5."""
    return np.array([*rows[REFERENCE][:2], 0, 0])


def sharpened_name(tier: str, sharpness: float) -> str:
    """Name of the method for a tier's faithful models with ``sharpness``."""
    return f"{tier} {sharpness:g}" if sharpness else tier


def _header(first: str) -> str:
    titles = " | ".join(shown.title for shown in COLUMNS)
    names, lines = (f"| {first} | |", "| --- | --- |") if first else ("| |", "| --- |")
    return f"{names} {titles} |\n{lines}{' ---: |' * len(COLUMNS)}"


def _row(title: str, values: Values, sign: str) -> str:
    signs = (sign, sign, "", "")
    cells = [f"{v:{s}.{shown.digits}f}" for v, s, shown in zip(values, signs, COLUMNS, strict=True)]
    return f"| {title} | " + " | ".join(cells) + " |"


def _has_crisp(tier: str, pair: Pair) -> bool:
    return any(model.look == "crisp" for model in models_of(tier, pair.ratio))


def _faithful(tier: str) -> dict[str, Method]:
    return {sharpened_name(tier, sharpness): network_method(tier, sharpness=sharpness) for sharpness in SHARPNESSES}


def _crisp(tier: str) -> dict[str, Method]:
    return {method_of(tier, "crisp"): network_method(tier, look="crisp")}
