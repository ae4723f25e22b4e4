"""Comparison of estimators of the compression level on video with known originals.

Short clips are downscaled 2:1, coded by several encoders at many levels, and restored by a network at each of `TRIED`.
The oracle of a stream is the level of these whose result is closest to the originals over the whole clip. What an
estimator's level gives is interpolated linearly between the two nearest; its loss is relative to the oracle.
"""

import csv
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import click
import numpy as np
import vapoursynth as vs

from train.clips import encode_clip, planes_of
from train.commands.options import data_and_work
from train.errors import EncoderError
from train.estimators import ESTIMATORS
from train.ffmpeg import ffmpeg
from train.material.pictures import Plane, clip_planes, read_yuv420
from train.metrics import psnr
from train.progress import tracked
from vs_srcomp.files import atomic_path
from vs_srcomp.geometry import QUANTIZERS, quantizer_of_index, ratio_by_name
from vs_srcomp.resample import lanczos5
from vs_srcomp.source import source
from vs_srcomp.source.scan import scan
from vs_srcomp.upscale import upscale

WIDTH, HEIGHT = 480, 256
"""Size of the originals."""

_SMALLER = f"scale={WIDTH}:-2:flags=lanczos,crop={WIDTH}:{HEIGHT}"

VIDEOS = {
    "cartoon": ("bbb_1920x1080_60fps_vp8.webm", _SMALLER),
    "camera": ("VID_1280x720_cabac_temporal_direct.264", _SMALLER),
    "roof": ("hdr10-video-with-sdr-container.mp4", f"scale=640:-2:flags=lanczos,crop={WIDTH}:{HEIGHT}"),
    "trees": ("park_joy_420_720p50_frm0to9_480x270.y4m", f"crop={WIDTH}:{HEIGHT}"),
}
"""Clips by name: file, and FFmpeg filter that makes the original."""

PANS = {"houses": ("8.png", 0.0), "lighthouse": ("21.png", 1.5)}
"""Clips by name: picture over which a window moves, and deviation of the added noise."""

TRIED = (12, 20, 25, 30, 35, 40, 45, 50, 57)
"""Levels at which the network restores: those that it was trained for."""

LEVELS = (20, 28, 36, 44, 52)
"""Levels at which clips are coded."""

NEAR_LOSSLESS = "near lossless"

_AOM = "-c:v libaom-av1 -threads 1"
_AOM_FIXED = f"{_AOM} -cpu-used 8 -crf {{q}} -qmin {{q}} -qmax {{q}} -b:v 0"
_AOM_REALTIME = f"{_AOM} -usage realtime -cpu-used 8"


@dataclass(frozen=True)
class Encoder:
    """An encoder with options, and its levels."""

    name: str
    options: str
    """FFmpeg's options, with ``{q}`` for the level."""
    levels: tuple[int, ...]
    length: int = 24
    """Number of frames, if the clip has so many: one and a half mini-GOPs of a usual pyramid."""
    step: int = 5
    """Distance between restored frames. It shares no factor with a pyramid, so that all layers occur."""


# Without a pyramid, quality changes slowly, and scenes must be long.
_LONG = {"length": 96, "step": 19}

ENCODERS = (
    Encoder("libaom crf", f"{_AOM} -cpu-used 6 -crf {{q}} -b:v 0", LEVELS),
    Encoder("SVT-AV1 crf", "-c:v libsvtav1 -preset 8 -crf {q} -svtav1-params lp=1", LEVELS),
    Encoder("libaom realtime crf", f"{_AOM_REALTIME} -crf {{q}} -b:v 0", LEVELS, **_LONG),
    Encoder("libaom realtime kbit/s", f"{_AOM_REALTIME} -aq-mode 3 -b:v {{q}}k", (40, 120, 360), **_LONG),
    Encoder("libaom fixed q", _AOM_FIXED, QUANTIZERS),
    Encoder(NEAR_LOSSLESS, _AOM_FIXED, (0, 5, 10, 15)),
)

_MOST = max(encoder.length for encoder in ENCODERS)

REFERENCE = "lanczos5"


@dataclass(frozen=True)
class Stream:
    """A coded clip: the network's PSNR at each level, and the results of each estimator."""

    clip: str
    encoder: str
    level: int
    psnr: Mapping[str, float]
    """Mean Y-PSNR in dB by method: ``lanczos5``, ``q12``, ..."""
    estimate: Mapping[str, float]
    """Mean effective base_q_idx by estimator."""
    loss: Mapping[str, float]
    """Loss in dB by estimator: its levels, frame by frame, against the best one for all frames."""
    switches: Mapping[str, float]
    """Changes of level per 24 frames, by estimator."""


@click.command(context_settings={"max_content_width": 110})
@data_and_work(data="Folder with video and test.", work="Folder for coded streams.")
@click.option("--tier", default="fast", show_default=True, help="The network.")
@click.option(
    "--results",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("train/results/quantizer.csv"),
    show_default=True,
    help="CSV file of results, a row per stream.",
)
@click.option("--tables-only", is_flag=True, help="Print the tables of docs/quantizer.md without measuring again.")
def main(data: Path, work: Path, tier: str, results: Path, tables_only: bool) -> None:
    """Measure the estimators with a tier's network, and print the tables of docs/quantizer.md."""
    if not tables_only:
        try:
            streams = list(measure(data, work / "quantizer", tier))
        except (ValueError, EncoderError) as wrong:
            raise click.ClickException(str(wrong)) from wrong
        write_streams(streams, results)
    streams = read_streams(results)
    click.echo("\n\n".join(table(streams) for table in (loss_table, shift_table, best_table, lossless_table)))


def measure(data: Path, folder: Path, tier: str) -> Iterator[Stream]:
    """Code and restore every clip with every encoder at every level.

    Raises:
        ValueError: An original cannot be read.
        EncoderError: The encoder failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    originals = {}
    for clip in tracked([*VIDEOS, *PANS], "preparing"):
        originals[clip] = read_video(data, clip) if clip in VIDEOS else make_pan(data, clip)
    jobs = [(clip, encoder, level) for clip in originals for encoder in ENCODERS for level in encoder.levels]
    for clip, encoder, level in tracked(jobs, "restoring"):
        path = folder / f"{clip}-{encoder.name.replace('/', ' per ').replace(' ', '-')}-{level}.mkv"
        original = originals[clip][: encoder.length]
        if not path.exists():
            encode_clip(original, ratio_by_name("2:1"), encoder.options.format(q=level), path)
        yield score(path, clip, encoder, level, [planes[0] for planes in original], tier)


def read_video(data: Path, clip: str) -> list[list[Plane]]:
    """The original of a clip: the planes of each frame, 8-bit 4:2:0.

    Raises:
        ValueError: It is not there, or not a readable video.
    """
    file, filters = VIDEOS[clip]
    argv = [ffmpeg(), "-v", "error", "-noautorotate", "-i", str(data / "video" / file)]
    argv += ["-vf", filters, "-frames:v", str(_MOST), "-pix_fmt", "yuv420p", "-f", "rawvideo", "pipe:1"]
    done = subprocess.run(argv, capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise ValueError(
            f"{data / 'video' / file}: not a readable video ({done.stderr.decode(errors='replace').strip()}); "
            "--data is the folder with video and test"
        )
    samples = np.frombuffer(done.stdout, np.uint8).reshape(-1, WIDTH * HEIGHT * 3 // 2)
    return [planes_of(frame, WIDTH, HEIGHT) for frame in samples]


def make_pan(data: Path, clip: str) -> list[list[Plane]]:
    """A window that moves over a photograph by fractions of a pixel, with camera noise."""
    picture, deviation = PANS[clip]
    photograph = read_yuv420(data / "test/kodak" / picture)
    room = photograph.width - WIDTH, photograph.height - HEIGHT
    noise = np.random.default_rng(1)
    frames = []
    for n in range(_MOST):
        x, y = (space * (0.05 + 0.9 * n / _MOST) for space in room)
        window = photograph.resize.Bicubic(WIDTH, HEIGHT, src_left=x, src_top=y, src_width=WIDTH, src_height=HEIGHT)
        planes = [plane + noise.normal(0, deviation, plane.shape) for plane in clip_planes(window)]
        frames.append([np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes])
    return frames


def score(path: Path, clip: str, encoder: Encoder, level: int, original: Sequence[Plane], tier: str) -> Stream:
    """Restore some frames of a stream at every level, and score the levels that the estimators choose."""
    coded = source(path)
    sampled = coded[:: encoder.step]
    methods = {REFERENCE: lanczos5(sampled, WIDTH, HEIGHT)}
    methods |= {f"q{q}": upscale(sampled, ratio="2:1", q=q, model=tier) for q in TRIED}
    scores = {method: list(_psnrs(restored, original[:: encoder.step])) for method, restored in methods.items()}
    mean = {method: fmean(values) for method, values in scores.items()}
    frames = [dict(zip(scores, values, strict=True)) for values in zip(*scores.values(), strict=True)]

    shown = list(scan(path))
    estimates = {name: estimator(shown) for name, estimator in ESTIMATORS.items()}
    levels = {name: [quantizer_of_index(value) for value in values] for name, values in estimates.items()}
    return Stream(
        clip,
        encoder.name,
        level,
        mean,
        {name: fmean(values) for name, values in estimates.items()},
        {
            name: _best(mean) - fmean(_at(*each) for each in zip(frames, chosen[:: encoder.step], strict=True))
            for name, chosen in levels.items()
        },
        {name: 24 * fmean(round(a) != round(b) for a, b in pairwise(chosen)) for name, chosen in levels.items()},
    )


def _psnrs(clip: vs.VideoNode, original: Iterable[Plane]) -> Iterator[float]:
    for frame, luma in zip(clip.frames(close=True), original, strict=True):
        yield psnr(np.asarray(frame[0]), luma)


_GROUPS = ("psnr", "estimate", "loss", "switches")


def write_streams(streams: Sequence[Stream], path: Path) -> None:
    """Write a row per stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = [f"{group} {key}" for group in _GROUPS for key in getattr(streams[0], group)]
        writer.writerow(["clip", "encoder", "level", *columns])
        for stream in streams:
            values = [value for group in _GROUPS for value in getattr(stream, group).values()]
            writer.writerow([stream.clip, stream.encoder, stream.level, *(round(value, 4) for value in values)])


def read_streams(path: Path) -> list[Stream]:
    """Read the file of :func:`write_streams`."""
    with path.open(newline="") as file:
        return [_stream(row) for row in csv.DictReader(file)]


def _stream(row: Mapping[str, str]) -> Stream:
    groups: dict[str, dict[str, float]] = {group: {} for group in _GROUPS}
    for column, value in row.items():
        group, _, key = column.partition(" ")
        if key:
            groups[group][key] = float(value)
    return Stream(row["clip"], row["encoder"], int(row["level"]), *(groups[group] for group in _GROUPS))


def loss_table(streams: Sequence[Stream]) -> str:
    """Mean loss of each estimator against the best level of each stream, and its switches, as Markdown."""
    compressed = [stream for stream in streams if stream.encoder != NEAR_LOSSLESS]
    encoders = list(dict.fromkeys(stream.encoder for stream in compressed))
    lines = [
        f"| loss in dB | {' | '.join(encoders)} | mean | worst | switches in 24 frames |",
        "| --- |" + " ---: |" * (len(encoders) + 3),
    ]
    for name in compressed[0].loss:
        means = [fmean(stream.loss[name] for stream in compressed if stream.encoder == encoder) for encoder in encoders]
        losses = [stream.loss[name] for stream in compressed]
        cells = [f"{value:.3f}" for value in (*means, fmean(losses), max(losses))]
        cells.append(f"{fmean(stream.switches[name] for stream in compressed):.1f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for q in TRIED:
        by_stream = {id(stream): _best(stream.psnr) - stream.psnr[f"q{q}"] for stream in compressed}
        means = [
            fmean(by_stream[id(stream)] for stream in compressed if stream.encoder == encoder) for encoder in encoders
        ]
        cells = [f"{value:.3f}" for value in (*means, fmean(by_stream.values()), max(by_stream.values()))]
        lines.append(f"| always Q{q} | {' | '.join(cells)} | 0.0 |")
    return "\n".join(lines)


def shift_table(streams: Sequence[Stream]) -> str:
    """Mean loss of the estimators with one value per scene, if the network is given more or less, as Markdown."""
    compressed = [stream for stream in streams if stream.encoder != NEAR_LOSSLESS]
    shifts = (-8, -4, -2, 0, 2, 4, 8)
    lines = [
        f"| loss in dB, level moved by | {' | '.join(f'{shift:+d} Q' if shift else '0' for shift in shifts)} |",
        "| --- |" + " ---: |" * len(shifts),
    ]
    for name in ("clip_median", "byte_weighted", "propagated_scene"):
        losses = [
            fmean(
                _best(stream.psnr) - _at(stream.psnr, quantizer_of_index(stream.estimate[name]) + shift)
                for stream in compressed
            )
            for shift in shifts
        ]
        lines.append(f"| {name} | {' | '.join(f'{loss:.3f}' for loss in losses)} |")
    return "\n".join(lines)


def best_table(streams: Sequence[Stream]) -> str:
    """Mean gain of the network over Lanczos at each level, by encoder and its level, as Markdown."""
    lines = [
        f"| encoder | level | {REFERENCE}, dB | {' | '.join(f'Q{q}' for q in TRIED)} |",
        "| --- | ---: | ---: |" + " ---: |" * len(TRIED),
    ]
    for encoder, level in dict.fromkeys((stream.encoder, stream.level) for stream in streams):
        group = [stream for stream in streams if (stream.encoder, stream.level) == (encoder, level)]
        gains = [fmean(stream.psnr[f"q{q}"] - stream.psnr[REFERENCE] for stream in group) for q in TRIED]
        cells = [f"**{gain:+.2f}**" if gain == max(gains) else f"{gain:+.2f}" for gain in gains]
        reference = fmean(stream.psnr[REFERENCE] for stream in group)
        lines.append(f"| {encoder} | {level} | {reference:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def lossless_table(streams: Sequence[Stream]) -> str:
    """Gain of the network at the lowest level on nearly lossless streams, by clip, as Markdown."""
    weak = [stream for stream in streams if stream.encoder == NEAR_LOSSLESS]
    levels = sorted({stream.level for stream in weak})
    lines = [
        f"| gain of Q{TRIED[0]} in dB | {' | '.join(f'base_q_idx {4 * level}' for level in levels)} |",
        "| --- |" + " ---: |" * len(levels),
    ]
    for clip in dict.fromkeys(stream.clip for stream in weak):
        by_level = {stream.level: stream for stream in weak if stream.clip == clip}
        gains = [by_level[level].psnr[f"q{TRIED[0]}"] - by_level[level].psnr[REFERENCE] for level in levels]
        lines.append(f"| {clip} | {' | '.join(f'{gain:+.2f}' for gain in gains)} |")
    return "\n".join(lines)


def _best(scores: Mapping[str, float]) -> float:
    return max(scores[f"q{q}"] for q in TRIED)


def _at(scores: Mapping[str, float], level: float) -> float:
    """The score at any level; beyond those that were tried, that of the nearest, as `upscale` has it."""
    return float(np.interp(level, TRIED, [scores[f"q{q}"] for q in TRIED]))


if __name__ == "__main__":
    main(prog_name="python -m train.quantizer_study")
