"""Scores of experiments in a CSV file, so that a stopped comparison can be resumed."""

import csv
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from train.metrics import METRICS, Metric
from train.systems.classic import Plane
from train.table import read_rows

# Features of whole pictures would take longer than everything else together.
PERCEPTUAL_SIDE = 128


@dataclass(frozen=True)
class Case:
    """A picture with one degradation."""

    experiment: str
    set: str
    picture: str
    degradation: str
    """Name and parameters, as in tables: "bicubic", "jpeg 30"."""
    scale: str
    """Original size over degraded size: "2", or "8:5"."""


@dataclass(frozen=True)
class Score(Case):
    """The result of one method."""

    method: str
    psnr: float
    """Luma PSNR in dB, without the border."""
    ssim: float
    perceptual: float | None = None
    """Shift-tolerant LPIPS of the middle of the picture; None if not measured."""
    weights: str = ""
    """Digests of the weights of the method's networks; empty without networks."""


class Book:
    """All scores of one experiment, in a file to which each new row is appended at once."""

    def __init__(self, path: Path, weights_of: Callable[[str], str] = lambda method: "") -> None:
        """Open the file at ``path``, which may not exist.

        Scores of networks with newer weights are ignored, so that they are measured again.

        Args:
            path: The file.
            weights_of: Maps a method's name to the ``weights`` of its scores.

        Raises:
            ValueError: The file has other content.
        """
        self._path, self._weights_of = path, weights_of
        found = _read(path) if path.exists() else ()
        # A later row replaces an earlier one that lacked the perceptual distance.
        self._done = {_key(score, score.method): score for score in found if score.weights == weights_of(score.method)}

    @property
    def scores(self) -> list[Score]:
        """All scores."""
        return list(self._done.values())

    def lacks(self, case: Case, method: str, *, perceptual: bool = False) -> bool:
        """Whether a score of ``method`` for ``case`` is missing, or only its perceptual distance, if that is wanted."""
        found = self._done.get(_key(case, method))
        return found is None or (perceptual and found.perceptual is None)

    def add(self, score: Score) -> None:
        """Store ``score``, in the file too."""
        score = dataclasses.replace(score, weights=self._weights_of(score.method))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self._path.exists()
        with self._path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS)
            if is_new:
                writer.writeheader()
            row = dataclasses.asdict(score)
            row |= {name: "" if row[name] is None else f"{row[name]:.5f}" for name in ("psnr", "ssim", "perceptual")}
            writer.writerow(row)
        self._done[_key(score, score.method)] = score


FIELDS = tuple(field.name for field in dataclasses.fields(Score))


def _key(case: Case, method: str) -> tuple[str, ...]:
    return case.experiment, case.set, case.picture, case.degradation, case.scale, method


def _read(path: Path) -> list[Score]:
    with path.open(newline="", encoding="utf-8") as file:
        if tuple(csv.DictReader(file).fieldnames or ()) != FIELDS:
            raise ValueError(f"{path} is not a file of scores; remove it to measure again")
    return read_rows(path, Score)


class Judge:
    """Measures restored planes."""

    def __init__(self, *, perceptual: bool) -> None:
        """``perceptual``: whether to measure the perceptual distance, too, if its package is installed."""
        self._metric: Metric | None = None
        if perceptual:
            try:
                self._metric = METRICS.make("st-lpips")
            except ValueError:
                self._metric = None

    @property
    def perceptual(self) -> bool:
        """Whether the perceptual distance is measured."""
        return self._metric is not None

    def score(self, case: Case, method: str, restored: Plane, original: Plane, border: int) -> Score:
        """The score of ``restored`` against ``original``, without ``border`` pixels on each side."""
        psnr, ssim = (METRICS.make(name, border=border)(restored, original) for name in ("psnr", "ssim"))
        perceptual = None
        if self._metric is not None:
            perceptual = self._metric(middle(restored, PERCEPTUAL_SIDE), middle(original, PERCEPTUAL_SIDE))
        return Score(**dataclasses.asdict(case), method=method, psnr=psnr, ssim=ssim, perceptual=perceptual)


def middle(plane: Plane, side: int) -> Plane:
    """The middle of a plane, at most ``side`` pixels wide and high."""
    top, left = (max(0, (size - side) // 2) for size in plane.shape)
    return plane[top : top + side, left : left + side]


def mean(scores: Iterable[Score], of: Callable[[Score], float | None]) -> float | None:
    """The mean of the measured values; None if there are none."""
    values = [value for value in map(of, scores) if value is not None]
    return sum(values) / len(values) if values else None
