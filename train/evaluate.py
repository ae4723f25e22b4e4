"""What a model gains over Lanczos, measured through the same ``vs_srcomp.upscale`` that users call."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
import vapoursynth as vs

from train.degradations.av1 import EVALUATION_SPEED, Pair, decode, make_streams, stream_path
from train.material.pictures import Plane, clip_planes, each_luma
from train.metrics import psnr as psnr  # part of this module's interface
from train.metrics import ssim, vmaf
from vs_srcomp.backends import OpenVINO
from vs_srcomp.geometry import Ratio
from vs_srcomp.models import models
from vs_srcomp.models.catalogue import ENGINES
from vs_srcomp.resample import lanczos5
from vs_srcomp.upscale import upscale

type Method = Callable[[vs.VideoNode, Pair, int, int], vs.VideoNode]
"""From the decoded clip, the pair and the target width and height to the upscaled clip."""

REFERENCE = "lanczos5"

METRICS = ("psnr", "ssim", "vmaf", "vmaf-neg")
"""What can be measured; PSNR always is."""

DEFAULT_METRICS = ("psnr", "ssim")

SHARPNESS = 0.25
"""Of the methods "TIER sharp", as for ``upscale``."""


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
    ssim_y: float | None = None
    """See :func:`train.metrics.ssim`. None, as below: not measured."""
    vmaf: float | None = None
    """See :class:`train.metrics.Vmaf`; each picture by itself, without motion."""
    vmaf_neg: float | None = None


def evaluate(
    images: Path,
    streams: Path,
    pairs: Iterable[Pair],
    tiers: Iterable[str],
    *,
    networks: Iterable[Path] = (),
    metrics: Collection[str] = DEFAULT_METRICS,
) -> Iterator[Score]:
    """Score every method on every picture of a folder.

    Args:
        images: The originals. Never a folder that was trained on.
        streams: Where their coded streams are kept; those that are missing are made.
        pairs: Which ratios and compression levels.
        tiers: Which models, beside the classic kernels; one that is not there for a pair is left out. The generalist of
            a tier, made for a ratio at every compression level, is the method "TIER blind".
        networks: ONNX files to score too, in every pair; each is called by its name without the suffix.
        metrics: Some of :data:`METRICS`; the last two take most of the time.
    """
    pairs, tiers, networks = list(pairs), list(tiers), list(networks)
    make_streams(images, streams, pairs, EVALUATION_SPEED)
    originals = list(each_luma(images))
    for pair in pairs:
        methods = dict(CLASSIC)
        for tier in tiers:
            methods |= _models(tier, pair)
        methods |= {path.stem: _network(path) for path in networks}
        for name, original in originals:
            yield from _score_picture(stream_path(streams, pair, name), pair, name, original, methods, metrics)


def _models(tier: str, pair: Pair) -> dict[str, Method]:
    """The specialist and the generalist of a tier, as far as they are there."""
    methods: dict[str, Method] = {}
    if any((model.tier, model.ratio, model.q) == (tier, pair.ratio.name, pair.q) for model in models()):
        methods[tier] = _network(tier)
        methods[sharp(tier)] = _network(tier, sharpness=SHARPNESS)
        if any(model.ranges for model in models() if (model.tier, model.ratio) == (tier, pair.ratio.name)):
            methods[int8(tier)] = _network(tier, "int8")
    if file := generalist(tier, pair.ratio):
        methods[blind(tier)] = _network(file)
    return methods


def int8(tier: str) -> str:
    """What a tier's specialists in 8-bit integers are called as a method."""
    return f"{tier} int8"


def sharp(tier: str) -> str:
    """What a tier's specialists are called as a method, with :data:`SHARPNESS`."""
    return f"{tier} sharp"


def blind(tier: str) -> str:
    """What the generalist of a tier is called as a method."""
    return f"{tier} blind"


def generalist(tier: str, ratio: Ratio) -> Path | None:
    """The file of the tier's model for every compression level of ``ratio``, if there is one."""
    for model in models():
        if (model.tier, model.ratio, model.q) == (tier, ratio.name, None):
            return Path(str(files(ENGINES) / model.file))
    return None


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


def _network(model: str | Path, precision: Literal["f32", "int8"] = "f32", sharpness: float = 0.0) -> Method:
    """Of a tier, or of a file; in a precision that does not depend on the processor."""
    backend = OpenVINO(precision=precision)
    return lambda clip, pair, width, height: upscale(
        clip, ratio=pair.ratio.name, q=pair.q, model=model, sharpness=sharpness, backend=backend
    )


CLASSIC: dict[str, Method] = {
    REFERENCE: lambda clip, pair, width, height: lanczos5(clip, width, height),
    "bicubic": lambda clip, pair, width, height: clip.resize.Bicubic(width, height),
    "spline36": lambda clip, pair, width, height: clip.resize.Spline36(width, height),
}
