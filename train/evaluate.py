"""Gain of models over Lanczos, measured through ``vs_srcomp.upscale``."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import vapoursynth as vs

from train.coding import EVALUATION_SPEED, decode
from train.material.pictures import Plane, check_names, clip_planes, each_luma
from train.metrics import psnr as psnr  # part of this module's interface
from train.metrics import ssim, vmaf
from train.pairs import Pair, pair_by_slug
from train.streams import make_streams, stream_path
from vs_srcomp.backends import OpenVINO
from vs_srcomp.geometry import RATIOS, Ratio
from vs_srcomp.models import LOOKS, TIERS, Model, models
from vs_srcomp.resample import lanczos5
from vs_srcomp.upscale import upscale

type Method = Callable[[vs.VideoNode, Pair, int, int], vs.VideoNode]
"""Maps the decoded clip, the pair, and the target width and height to the upscaled clip."""

REFERENCE = "lanczos5"

METRICS = ("psnr", "ssim", "vmaf", "vmaf-neg")
"""Names of metrics. PSNR is always measured."""

_COLUMNS = {"ssim": "ssim_y", "vmaf": "vmaf", "vmaf-neg": "vmaf_neg"}
"""Fields of :class:`Score` of the metrics that need not be measured."""

DEFAULT_METRICS = ("psnr", "ssim")

SHARPNESS = 0.25
"""The argument ``sharpness`` of the methods "TIER sharp"."""


@dataclass(frozen=True)
class PictureScore:
    """What is scored: one picture, coded for one pair, upscaled by one method."""

    pair: str
    picture: str
    method: str


@dataclass(frozen=True)
class Score(PictureScore):
    """One score of `evaluate`."""

    psnr_y: float
    """PSNR in dB, against a peak of 255, over the whole plane."""
    mean_drift: float
    """Mean luma minus that of the Lanczos-5 upscale, in codes."""
    bits_per_pixel: float
    """Size of the coded stream over the pixels of the original."""
    ssim_y: float | None = None
    """See :func:`train.metrics.ssim`. Here and below, None if not measured."""
    vmaf: float | None = None
    """See :class:`train.metrics.Vmaf`; single pictures, without motion."""
    vmaf_neg: float | None = None


def evaluate(
    images: Path,
    streams: Path,
    pairs: Iterable[Pair],
    tiers: Iterable[str],
    *,
    networks: Iterable[Path] = (),
    metrics: Collection[str] = DEFAULT_METRICS,
    ensembles: Iterable[Literal[2, 4, 8]] = (),
) -> Iterator[Score]:
    """Score every method on every picture of a folder.

    Args:
        images: Folder of originals. Never one of training pictures.
        streams: Folder of their coded streams; missing ones are made.
        pairs: Ratios and compression levels.
        tiers: Models besides the classic kernels; a tier without models for a ratio is skipped. A tier is also
            measured as "TIER sharp", as "TIER int8" if its ranges are known, and as "TIER crisp" if it has that look,
            also in integers. Each gets the level of its pair.
        networks: Further ONNX files to score in every pair, named by file name without suffix.
        metrics: Some of :data:`METRICS`; the last two take most of the time.
        ensembles: Numbers of views with which to measure each tier, too, as "TIER ensemble N".

    Raises:
        ValueError: There is no picture, one cannot be read, or two have the same name; two of ``networks`` have, or
            one is named like a method.
        EncoderError: The encoder failed.
    """
    pairs, tiers, networks, ensembles = list(pairs), list(tiers), list(networks), list(ensembles)
    _check_networks(networks)
    make_streams(images, streams, pairs, EVALUATION_SPEED)
    originals = list(each_luma(images))
    for pair in pairs:
        methods = dict(CLASSIC)
        for tier in tiers:
            methods |= _models(tier, pair.ratio, ensembles)
        methods |= {path.stem: network_method(path) for path in networks}
        for path, original in originals:
            yield from _score_picture(stream_path(streams, pair, path), pair, path.stem, original, methods, metrics)


def _check_networks(networks: Iterable[Path]) -> None:
    """Check that files give methods of different names, none of them a kernel's or a tier's; ValueError if not."""
    networks = list(networks)
    check_names(networks)
    for path in networks:
        if path.stem.partition(" ")[0] in (*CLASSIC, *TIERS):
            raise ValueError(f"{path} is named like the method {path.stem.partition(' ')[0]}: rename it")


def check_metrics(recorded: Iterable[Score], metrics: Collection[str]) -> None:
    """Check that ``metrics`` have all that the ``recorded`` scores have; ValueError if one is missing."""
    recorded = list(recorded)
    for metric, column in _COLUMNS.items():
        if metric not in metrics and any(getattr(score, column) is not None for score in recorded):
            raise ValueError(f"the recorded scores have {metric}, too: measure it with --metrics")


def check_pictures(scores: Iterable[PictureScore]) -> None:
    """Check that all methods of a pair were measured on the same pictures; ValueError if not."""
    pictures: dict[str, dict[str, set[str]]] = {}
    for score in scores:
        pictures.setdefault(score.pair, {}).setdefault(score.method, set()).add(score.picture)
    for pair, of_methods in pictures.items():
        (first, expected), *others = of_methods.items()
        for method, found in others:
            if found != expected:
                raise ValueError(f"{pair}: {method} and {first} were measured on different pictures: measure all again")


def updated[S: PictureScore](scores: Sequence[S], measured: Sequence[S], tiers: Collection[str] = ()) -> list[S]:
    """``scores`` of a set, where those of a pair and a method that were ``measured`` again replace all of these.

    Pairs are in order; a new method comes after the others of its tier.

    Args:
        scores: Scores of before.
        measured: New ones.
        tiers: Tiers of which all was measured: what these have besides, such as an ensemble, is left out at the pairs
            that were measured. It may be of other networks.
    """
    again = {(score.pair, score.method) for score in measured}
    pairs = {score.pair for score in measured}
    kept = [
        score
        for score in scores
        if (score.pair, score.method) not in again
        and not (score.pair in pairs and score.method.partition(" ")[0] in tiers)
    ]
    methods = list(dict.fromkeys(score.method for score in scores))
    for method in dict.fromkeys(score.method for score in measured):
        if method not in methods:
            of_tier = [index for index, other in enumerate(methods) if other.split()[0] == method.split()[0]]
            methods.insert(of_tier[-1] + 1 if of_tier else len(methods), method)
    pictures = list(dict.fromkeys(score.picture for score in (*scores, *measured)))

    def place(score: S) -> tuple[float, ...]:
        pair = pair_by_slug(score.pair)
        at = pictures.index(score.picture), methods.index(score.method)
        return (RATIOS.index(pair.ratio), pair.q, *at)

    return sorted([*kept, *measured], key=place)


def _models(tier: str, ratio: Ratio, ensembles: Iterable[Literal[2, 4, 8]] = ()) -> dict[str, Method]:
    """The methods of a tier with models for ``ratio``."""
    methods: dict[str, Method] = {}
    for model in models_of(tier, ratio):
        name, look = method_of(tier, str(model.look)), str(model.look)
        methods[name] = network_method(tier, look=look)
        if look == "faithful":
            methods[sharp(tier)] = network_method(tier, sharpness=SHARPNESS)
            methods |= {f"{tier} ensemble {views}": network_method(tier, ensemble=views) for views in ensembles}
        if model.ranges:
            methods[int8(name)] = network_method(tier, "int8", look=look)
    return methods


def models_of(tier: str, ratio: Ratio) -> list[Model]:
    """The tier's models for ``ratio``, one per look, the faithful one first."""
    found = [model for model in models() if (model.tier, model.ratio) == (tier, ratio.name)]
    return sorted(found, key=lambda model: LOOKS.index(str(model.look)))


def method_of(tier: str, look: str) -> str:
    """Name of the method for a tier's models of a look."""
    return tier if look == "faithful" else f"{tier} {look}"


def int8(method: str) -> str:
    """Name of the method for a tier's models of a look in 8-bit integers."""
    return f"{method} int8"


def sharp(tier: str) -> str:
    """Name of the method for a tier's models with :data:`SHARPNESS`."""
    return f"{tier} sharp"


def _score_picture(
    stream: Path, pair: Pair, name: str, original: Plane, methods: dict[str, Method], metrics: Collection[str]
) -> Iterator[Score]:
    coded = stream.read_bytes()
    clip = decode(coded)
    height, width = original.shape
    restored = {method: clip_planes(run(clip, pair, width, height))[0] for method, run in methods.items()}
    reference = restored[REFERENCE].mean(dtype=np.float64)
    lumas = list(restored.values())
    both = vmaf(lumas, [original] * len(lumas), stills=True) if {"vmaf", "vmaf-neg"} & {*metrics} else None
    for index, (method, luma) in enumerate(restored.items()):
        yield Score(
            pair.slug,
            name,
            method,
            psnr(luma, original),
            float(luma.mean(dtype=np.float64) - reference),
            8 * len(coded) / original.size,
            ssim(luma, original) if "ssim" in metrics else None,
            both[index].vmaf if both and "vmaf" in metrics else None,
            both[index].neg if both and "vmaf-neg" in metrics else None,
        )


def network_method(model: str | Path, precision: Literal["f32", "int8"] = "f32", **options: Any) -> Method:
    """Method of a tier or file, in a precision that does not depend on the processor; ``options`` of `upscale`."""
    backend = OpenVINO(precision=precision)
    return lambda clip, pair, width, height: upscale(
        clip, ratio=pair.ratio.name, q=pair.q, model=model, backend=backend, **options
    )


CLASSIC: dict[str, Method] = {
    REFERENCE: lambda clip, pair, width, height: lanczos5(clip, width, height),
    "bicubic": lambda clip, pair, width, height: clip.resize.Bicubic(width, height),
    "spline36": lambda clip, pair, width, height: clip.resize.Spline36(width, height),
}
