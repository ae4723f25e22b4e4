"""Measurements of every frame: scores against the reference, compression level, cuts, detail."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vs_srcomp.backends.base import Luma
from vs_srcomp.compare.colours import to_rgb
from vs_srcomp.compare.inputs import Side
from vs_srcomp.errors import error
from vs_srcomp.memory import give_back_free_memory
from vs_srcomp.quality.libvmaf import LEAST_SIDE, Libvmaf
from vs_srcomp.quality.luma import comparable, psnr, squared_error
from vs_srcomp.quality.times import FrameTimes
from vs_srcomp.restore import known_q

type Progress = Callable[[str, int, int], None]
"""Called with the name of the step, how much of it is done, and its total."""

CUT: Final = 10.0
"""Threshold for the first frame of a scene: the default of FFmpeg's filter scdet."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric against the reference; more is better."""

    name: str
    """Name in options."""
    title: str
    version: str
    """Exact definition."""
    unit: str = ""
    digits: int = 2


METRICS: Final = (
    Metric(name="vmaf-neg", title="VMAF-NEG", version="libvmaf, model vmaf_v0.6.1neg", digits=1),
    Metric(name="vmaf", title="VMAF", version="libvmaf, model vmaf_v0.6.1", digits=1),
    Metric(name="psnr", title="PSNR-Y", version="luma, peak 255", unit="dB"),
    Metric(name="ssim", title="SSIM-Y", version="libvmaf, feature float_ssim, luma", digits=4),
    Metric(name="ssimulacra2", title="SSIMULACRA 2", version="vszip, RGB", digits=1),
)
"""In the order of the report. The first one that is measured decides which frames are shown."""

_BY_VMAF: Final = {"vmaf-neg": "vmaf_neg", "vmaf": "vmaf", "ssim": "float_ssim"}


def metrics_there() -> tuple[str, ...]:
    """Names of the metrics that can be measured with what is installed."""
    return tuple(metric.name for metric in METRICS if metric.name != "ssimulacra2" or hasattr(vs.core, "vszip"))


def metrics_for(names: Sequence[str], width: int, height: int) -> tuple[str, ...]:
    """Those of ``names`` that take pictures of this size."""
    is_small = min(width, height) < LEAST_SIDE
    return tuple(name for name in names if not (is_small and name in _BY_VMAF))


@dataclass(frozen=True)
class Track:
    """Measurements of each frame of one side."""

    scores: dict[str, list[float | None]] = field(default_factory=dict)
    """Scores by name of the metric; None for an infinite PSNR of equal pictures."""
    q: list[float | None] = field(default_factory=list)
    """The compression level, 0 to 63; None if unknown."""
    squared_errors: list[int] = field(default_factory=list)
    """Squared error of luma, in squared codes of the compared clips."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Measurements of a whole comparison."""

    times: list[float]
    """Time of each frame in seconds from the first."""
    cuts: list[int]
    """Numbers of the first frames of scenes, with frame 0."""
    detail: list[float]
    """Mean difference of neighbouring luma samples, in 8-bit codes, of the reference or the first candidate."""
    tracks: list[Track]
    """One for each candidate."""
    metrics: tuple[Metric, ...]
    """The measured metrics; empty without a reference."""
    peak: int
    """Of PSNR, in codes of the compared clips."""
    samples: int
    """Luma samples of a frame."""

    def total(self, track: Track, metric: Metric) -> float | None:
        """The mean over all frames; for PSNR, from the squared error of all frames together. None: infinite."""
        if metric.name == "psnr":
            return _finite(psnr(sum(track.squared_errors), self.samples * len(self.times), self.peak))
        return float(np.mean([score for score in track.scores[metric.name] if score is not None]))

    def worst(self, track: Track, metric: Metric) -> float | None:
        """The 1st percentile."""
        known = [math.inf if score is None else score for score in track.scores[metric.name]]
        return _finite(float(np.percentile(known, 1, method="lower")))


def _finite(score: float) -> float | None:
    return None if math.isinf(score) else score


def measure(
    candidates: Sequence[Side], reference: Side | None, names: Sequence[str], *, threads: int, progress: Progress
) -> Measured:
    """Measure all frames in one pass over all sides.

    Without a reference the first candidate is decoded, for cuts and detail, and the other files, for their times and
    levels. What networks make of one file has the times of the first, and is not computed.

    Args:
        candidates: Clips of equal size and length.
        reference: The original, in the same size and length.
        names: Names of metrics.
        threads: Threads of VMAF for each candidate.
        progress: See `Progress`.

    Raises:
        vs.Error: Sizes, numbers or times of frames differ, or a metric's plugin is not installed.
    """
    if "ssimulacra2" in names and "ssimulacra2" not in metrics_there():
        raise error("SSIMULACRA 2 needs the plugin vszip", 'pip install "vs-srcomp[compare]", or leave the metric out')
    sides = [*candidates, *([reference] if reference else [])]
    check_alike(sides)
    if reference is None:
        return _without_reference(candidates, progress)
    metrics = tuple(metric for metric in METRICS if metric.name in names)
    same = comparable([side.clip for side in sides])
    nodes, bits = [*same.clips], same.bits
    size = reference.clip.width, reference.clip.height
    if "ssimulacra2" in names:
        wanted = to_rgb(reference.clip)
        nodes += [wanted.vszip.SSIMULACRA2(to_rgb(side.clip)) for side in candidates]
    tracks = [Track({metric.name: [] for metric in metrics}) for _ in candidates]
    clock, scenes, times, detail = _times_of(sides), Scenes(), [], []
    with ExitStack() as stack:
        drivers = []
        if any(name in _BY_VMAF for name in names):
            options = f"n_threads={threads}:feature=name=float_ssim"
            if "vmaf-neg" in names:
                options += r":model='version=vmaf_v0.6.1\:name=vmaf|version=vmaf_v0.6.1neg\:name=vmaf_neg'"
            drivers = [stack.enter_context(Libvmaf(size, bits, options)) for _ in candidates]
        for number, frames in enumerate(_together(nodes)):
            own, judged = frames[: len(sides)], frames[len(sides) :]
            times.append(clock.add(number, own))
            *ours, theirs = (np.asarray(frame[0]) for frame in own)
            scenes.add(theirs, bits)
            detail.append(detail_of(theirs, bits))
            for index, track in enumerate(tracks):
                _compare(track, own[index], ours[index], theirs, same.peak)
                if drivers:
                    drivers[index].add(ours[index], theirs)
                if judged:
                    track.scores["ssimulacra2"].append(float(judged[index].props["SSIMULACRA2"]))
            give_back_free_memory()
            progress("measuring", number + 1, reference.clip.num_frames)
        for track, driver in zip(tracks, drivers, strict=False):
            _take(track, [frame["metrics"] for frame in driver.log()["frames"]])
    return Measured(
        times=times,
        cuts=scenes.cuts,
        detail=detail,
        tracks=tracks,
        metrics=metrics,
        peak=same.peak,
        samples=size[0] * size[1],
    )


def _together(nodes: Sequence[vs.VideoNode]) -> Iterator[tuple[vs.VideoFrame, ...]]:
    """The frames of all clips in parallel."""
    return zip(*(node.frames(close=True, collect_garbage=False) for node in nodes), strict=True)


def check_alike(sides: Sequence[Side]) -> None:
    """Raise an error that names two sides with different frames."""
    first = sides[-1]
    for side in sides[:-1]:
        for what, of in (("pixels", lambda clip: (clip.width, clip.height)), ("frames", lambda clip: clip.num_frames)):
            ours, theirs = of(side.clip), of(first.clip)
            if ours != theirs:
                ours, theirs = (
                    "x".join(map(str, each)) if isinstance(each, tuple) else each for each in (ours, theirs)
                )
                raise error(
                    f"{side.name} has {ours} {what}, but {first.name} has {theirs}",
                    "compare files of the same size and the same frames",
                )


def _without_reference(candidates: Sequence[Side], progress: Progress) -> Measured:
    first, *others = candidates
    clip = first.clip
    bits = clip.format.bits_per_sample
    of_files = {index: side for index, side in enumerate(others, 1) if "models" not in side.facts}
    read = {**of_files, 0: first}
    levels: dict[int, list[float | None]] = {index: [] for index in read}
    clock, scenes, times, detail = _times_of([*read.values()]), Scenes(), [], []
    for number, frames in enumerate(_together([side.clip for side in read.values()])):
        times.append(clock.add(number, frames))
        codes = np.asarray(frames[-1][0])
        scenes.add(codes, bits)
        detail.append(detail_of(codes, bits))
        for index, frame in zip(read, frames, strict=True):
            levels[index].append(known_q(frame.props))
        give_back_free_memory()
        progress("looking for detail", number + 1, clip.num_frames)
    return Measured(
        times=times,
        cuts=scenes.cuts,
        detail=detail,
        tracks=[Track(q=levels.get(index, levels[0])) for index in range(len(candidates))],
        metrics=(),
        peak=(1 << bits) - 1,
        samples=clip.width * clip.height,
    )


def _compare(track: Track, frame: vs.VideoFrame, ours: Luma, theirs: Luma, peak: int) -> None:
    track.q.append(known_q(frame.props))
    squares = squared_error(ours, theirs)
    track.squared_errors.append(squares)
    if "psnr" in track.scores:
        track.scores["psnr"].append(_finite(psnr(squares, ours.size, peak)))


def _take(track: Track, by_frame: Sequence[dict[str, float]]) -> None:
    for name, key in _BY_VMAF.items():
        if name in track.scores:
            track.scores[name] = [scores[key] for scores in by_frame]


def _times_of(sides: Sequence[Side]) -> FrameTimes:
    return FrameTimes([side.name for side in sides], [side.tick for side in sides])


class Scenes:
    """Detects cuts as FFmpeg's filter scdet does: a frame differs from the previous one more than that one did.

    The score is the smaller of the mean absolute difference of luma and its change, in percent.
    """

    def __init__(self) -> None:
        self.cuts: list[int] = []
        """Numbers of the first frames of scenes."""
        self._number = 0
        self._before: NDArray[np.int32] | None = None
        self._difference = 0.0

    def add(self, luma: NDArray[np.generic], bits: int) -> None:
        """Process the next frame's luma codes of ``bits`` bits."""
        # A quarter of the samples tells as much.
        now = luma[::2, ::2].astype(np.int32)
        difference = (
            100 * float(np.abs(now - self._before).mean()) / (1 << bits) if self._before is not None else math.inf
        )
        if math.isinf(difference) or min(difference, abs(difference - self._difference)) >= CUT:
            self.cuts.append(self._number)
        self._before, self._number = now, self._number + 1
        self._difference = 0.0 if math.isinf(difference) else difference


def detail_of(luma: NDArray[np.generic], bits: int) -> float:
    """See ``Measured.detail``."""
    values = luma.astype(np.int32)
    # A single row or column has no neighbours in one direction.
    means = [np.abs(np.diff(values, axis=axis)).mean() for axis in (0, 1) if values.shape[axis] > 1]
    return float(sum(means)) / max(len(means), 1) / (1 << (bits - 8))
