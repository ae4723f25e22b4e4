"""What a model gains over Lanczos, measured through the same ``vs_srcomp.upscale`` that users call."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import vapoursynth as vs

from train.degrade import EVALUATION_SPEED, Pair, decode, make_streams, stream_path
from train.pictures import Plane, clip_planes, each_luma
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
