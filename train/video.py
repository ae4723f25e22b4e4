"""Evaluation on video: short clips, coded with inter frames and restored as in playback.

Besides the gain, the change of the error from frame to frame is measured, because a restoration may flicker even if it
is better on each frame. The reference is the change for the plain upscale, which is due to the codec.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from train.clips import FRAMES, encode_clip, list_videos, read_video
from train.evaluate import REFERENCE, method_of, models_of
from train.material.pictures import Plane, check_names, checksum_of
from train.metrics import psnr, vmaf
from train.progress import tracked
from vs_srcomp.geometry import RATIOS, Ratio
from vs_srcomp.models import TIERS
from vs_srcomp.resample import lanczos5
from vs_srcomp.source import source
from vs_srcomp.upscale import upscale

LEVELS = (20, 35, 50)

ENCODERS = {
    "libaom": "-c:v libaom-av1 -threads 1 -cpu-used 6 -crf {level} -b:v 0",
    "SVT-AV1": "-c:v libsvtav1 -preset 8 -crf {level} -svtav1-params lp=1",
}
"""FFmpeg's options by encoder name. Lookahead, pyramid and quantizers are the encoder's defaults."""


@dataclass(frozen=True)
class ClipScore:
    """One clip, coded by one encoder at one level, upscaled by one method. Means over its frames."""

    clip: str
    ratio: str
    encoder: str
    level: int
    method: str
    q: str
    """Compression levels for the model, "32" or "32 35"; empty without a model."""
    frames: int
    bits_per_pixel: float
    """Size of the coded stream over the pixels of the original's frames."""
    psnr_y: float
    """PSNR in dB, against a peak of 255."""
    error_change: float
    """See :func:`error_change`."""
    vmaf: float
    vmaf_neg: float


def evaluate_videos(
    videos: Path, work: Path, ratios: Iterable[Ratio], tiers: Iterable[str], frames: int = FRAMES
) -> Iterator[ClipScore]:
    """Score Lanczos-5 and the models on every video of a folder, at each of :data:`LEVELS` of each encoder.

    A tier's model gets the level of each frame from the stream's headers, as with ``q="auto"``. A tier with the crisp
    look is also measured as "TIER crisp".

    Args:
        videos: Folder of originals of good quality.
        work: Folder of coded streams; missing ones are made.
        ratios: Original size over coded size.
        tiers: Models; a tier without a model for a ratio is skipped.
        frames: Number of frames, from the first; shorter videos are used in full.

    Raises:
        ValueError: There is no video, two have the same name without suffix, or one cannot be read or has one frame.
        EncoderError: The encoder failed.
    """
    ratios, tiers = list(ratios), list(tiers)
    work.mkdir(parents=True, exist_ok=True)
    paths = list_videos(videos)
    if not paths:
        raise ValueError(f"no videos are in {videos}")
    check_names(paths)
    # All are looked at before the first is measured, which takes minutes.
    for path in paths:
        if len(read_video(path, 2)) < 2:
            raise ValueError(f"{path.name} has one frame, and the change of the error needs two: leave it out")
    for path in tracked(paths, "scoring"):
        original = read_video(path, frames)
        name = f"{path.stem}-{checksum_of(original)}"
        for ratio in ratios:
            for encoder, options in ENCODERS.items():
                for level in LEVELS:
                    coded = work / f"{name}-{ratio.slug}-{encoder}-{level}.mkv"
                    if not coded.exists():
                        encode_clip(original, ratio, options.format(level=level), coded)
                    yield from _score(coded, original, path.stem, ratio, encoder, level, tiers)


def _score(
    path: Path, original: list[list[Plane]], name: str, ratio: Ratio, encoder: str, level: int, tiers: Iterable[str]
) -> Iterator[ClipScore]:
    coded = source(path)
    lumas = [planes[0] for planes in original]
    height, width = lumas[0].shape
    methods = {REFERENCE: lanczos5(coded, width, height)}
    for tier in tiers:
        for model in models_of(tier, ratio):
            look = str(model.look)
            methods[method_of(tier, look)] = upscale(coded, width=width, height=height, q="auto", model=tier, look=look)
    bits_per_pixel = 8 * path.stat().st_size / sum(luma.size for luma in lumas)
    for method, clip in methods.items():
        levels = set()
        restored = []
        for frame in clip.frames(close=True):
            restored.append(np.array(frame[0]))
            if method != REFERENCE:
                levels.add(round(float(frame.props["SrcompQ"])))
        judged = vmaf(restored, lumas, stills=False)
        yield ClipScore(
            name,
            ratio.name,
            encoder,
            level,
            method,
            " ".join(map(str, sorted(levels))),
            len(lumas),
            bits_per_pixel,
            fmean(psnr(luma, reference) for luma, reference in zip(restored, lumas, strict=True)),
            error_change(restored, lumas),
            fmean(score.vmaf for score in judged),
            fmean(score.neg for score in judged),
        )


def error_change(restored: Iterable[Plane], originals: Iterable[Plane]) -> float:
    """Mean absolute change of the error, restored minus original, from one frame to the next, in codes.

    Raises:
        ValueError: There are fewer than two frames.
    """
    errors: Iterator[NDArray[np.int16]] = (
        luma.astype(np.int16) - original for luma, original in zip(restored, originals, strict=True)
    )
    changes = [float(np.abs(after - before).mean()) for before, after in pairwise(errors)]
    if not changes:
        raise ValueError("one frame has no change: two are needed")
    return fmean(changes)


def video_tables(scores: Sequence[ClipScore]) -> dict[str, str]:
    """A Markdown table for each method and ratio, by title ("fast 2:1"): each clip, and the mean of all.

    Gains and changes of the error are relative to Lanczos-5: a change of 1 is as steady as that, less is steadier. A
    clip that stands still has none: it is shown as "-", and is not in the mean.
    """
    plain = {_stream(score): score for score in scores if score.method == REFERENCE}
    groups: dict[str, list[ClipScore]] = {}
    for score in scores:
        if score.method != REFERENCE:
            groups.setdefault(f"{score.method} {score.ratio}", []).append(score)
    return {title: _table(group, [plain[_stream(score)] for score in group]) for title, group in groups.items()}


def video_means(scores: Sequence[ClipScore]) -> str:
    """Markdown with a row for each ratio and method: the last rows of `video_tables`, and the least gain of a clip."""
    plain = {_stream(score): score for score in scores if score.method == REFERENCE}
    titles = ("bits per pixel", f"{REFERENCE}, dB", "gain, dB", "VMAF", "VMAF-NEG", "change of error", "least, dB")
    lines = [
        f"| ratio | method | {' | '.join(titles)} |",
        "| --- | --- |" + " ---: |" * 7,
    ]
    groups: dict[tuple[str, str], list[ClipScore]] = {}
    ratios = [ratio.name for ratio in RATIOS]
    for score in sorted(scores, key=lambda score: (ratios.index(score.ratio), _place_of(score.method))):
        if score.method != REFERENCE:
            groups.setdefault((score.ratio, score.method), []).append(score)
    for (ratio, method), group in groups.items():
        columns = list(zip(*(_values(score, plain[_stream(score)]) for score in group), strict=True))
        cells = _cells([_mean(column) for column in columns])
        least = min((gain for gain in columns[2] if not math.isnan(gain)), default=math.nan)
        lines.append(f"| {ratio} | {method} | {cells} | {'-' if math.isnan(least) else f'{least:+.2f}'} |")
    return "\n".join(lines)


def _place_of(method: str) -> tuple[int, str]:
    """Where a method comes among others: tiers by rising cost, each with its looks."""
    tier = method.partition(" ")[0]
    return (-TIERS.index(tier) if tier in TIERS else 1), method


def updated_clips(scores: Iterable[ClipScore], measured: Iterable[ClipScore]) -> list[ClipScore]:
    """``scores`` with those that were ``measured`` again in their places, and new ones at the end."""
    return list({(*_stream(score), score.method): score for score in (*scores, *measured)}.values())


def _stream(score: ClipScore) -> tuple[str, str, str, int]:
    return score.clip, score.ratio, score.encoder, score.level


def _table(scores: Sequence[ClipScore], plain: Sequence[ClipScore]) -> str:
    lines = [
        f"| clip | encoder | crf | bits per pixel | {REFERENCE}, dB | gain, dB | VMAF | VMAF-NEG | change of error |",
        "| --- | --- |" + " ---: |" * 7,
    ]
    columns = []
    for score, before in zip(scores, plain, strict=True):
        values = _values(score, before)
        columns.append(values)
        lines.append(f"| {score.clip} | {score.encoder} | {score.level} | {_cells(values)} |")
    means = [_mean(column) for column in zip(*columns, strict=True)]
    return "\n".join([*lines, f"| mean | | | {_cells(means)} |"])


def _values(score: ClipScore, plain: ClipScore) -> list[float]:
    """The numbers of a row, against those of Lanczos-5; nan for the change of an error that does not change there."""
    return [
        plain.bits_per_pixel,
        plain.psnr_y,
        score.psnr_y - plain.psnr_y,
        score.vmaf - plain.vmaf,
        score.vmaf_neg - plain.vmaf_neg,
        score.error_change / plain.error_change if plain.error_change else math.nan,
    ]


def _mean(values: Iterable[float]) -> float:
    """The mean of those that are not nan; nan if there are none."""
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


def _cells(values: Sequence[float]) -> str:
    forms = (".3f", ".2f", "+.2f", "+.1f", "+.1f", ".3f")
    return " | ".join(
        "-" if math.isnan(value) else f"{value:{form}}" for value, form in zip(values, forms, strict=True)
    )
