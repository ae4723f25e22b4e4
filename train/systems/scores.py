"""Scores of experiments, kept as a CSV file, so that a comparison that was stopped goes on."""

import csv
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from train.metrics import METRICS, Metric
from train.systems.classic import Plane
from train.table import read_rows

# The features of whole pictures would take longer than everything else together.
PERCEPTUAL_SIDE = 128


@dataclass(frozen=True)
class Case:
    """A picture that was degraded in one way."""

    experiment: str
    set: str
    picture: str
    degradation: str
    """With its parameters, as tables print it: "bicubic", "jpeg 30"."""
    scale: str
    """Of the original's size to the small one's: "2", or "8:5"."""


@dataclass(frozen=True)
class Score(Case):
    """What one method makes of it."""

    method: str
    psnr: float
    """On luma, in dB, without the border."""
    ssim: float
    perceptual: float | None = None
    """Shift-tolerant LPIPS of the middle of the picture; None: not measured."""
    weights: str = ""
    """What tells the weights of the method's networks from others; empty without networks."""


class Book:
    """All scores of one experiment, in a file that each new row is added to at once."""

    def __init__(self, path: Path, weights_of: Callable[[str], str] = lambda method: "") -> None:
        """Open the file at ``path``, which need not be there.

        Scores of networks that have been trained further since are left out, so that they are measured again.

        Args:
            path: The file.
            weights_of: From a method's name to what its scores have as ``weights``.

        Raises:
            ValueError: The file holds something else.
        """
        self._path, self._weights_of = path, weights_of
        found = _read(path) if path.exists() else ()
        self.scores: list[Score] = [score for score in found if score.weights == weights_of(score.method)]
        self._done = {_key(score, score.method) for score in self.scores}

    def lacks(self, case: Case, method: str) -> bool:
        """Whether there is no score of ``method`` for ``case`` yet."""
        return _key(case, method) not in self._done

    def add(self, score: Score) -> None:
        """Keep ``score``, in the file too."""
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
        self.scores.append(score)
        self._done.add(_key(score, score.method))


FIELDS = tuple(field.name for field in dataclasses.fields(Score))


def _key(case: Case, method: str) -> tuple[str, ...]:
    return case.experiment, case.set, case.picture, case.degradation, case.scale, method


def _read(path: Path) -> list[Score]:
    with path.open(newline="", encoding="utf-8") as file:
        if tuple(csv.DictReader(file).fieldnames or ()) != FIELDS:
            raise ValueError(f"{path} is not a file of scores; remove it to measure again")
    return read_rows(path, Score)


class Judge:
    """Measures restored planes; makes the perceptual metric once, where its package is installed."""

    def __init__(self, *, perceptual: bool) -> None:
        """Measure the perceptual distance too, if wanted and possible."""
        self._perceptual: Metric | None = None
        if perceptual:
            try:
                self._perceptual = METRICS.make("st-lpips")
            except ValueError:
                self._perceptual = None

    def score(self, case: Case, method: str, restored: Plane, original: Plane, border: int) -> Score:
        """Of ``restored`` against ``original``, without a border of so many pixels."""
        psnr, ssim = (METRICS.make(name, border=border)(restored, original) for name in ("psnr", "ssim"))
        perceptual = None
        if self._perceptual is not None:
            perceptual = self._perceptual(middle(restored, PERCEPTUAL_SIDE), middle(original, PERCEPTUAL_SIDE))
        return Score(**dataclasses.asdict(case), method=method, psnr=psnr, ssim=ssim, perceptual=perceptual)


def middle(plane: Plane, side: int) -> Plane:
    """The middle of a plane, ``side`` pixels wide and high at most."""
    top, left = (max(0, (size - side) // 2) for size in plane.shape)
    return plane[top : top + side, left : left + side]


def mean(scores: Iterable[Score], of: Callable[[Score], float | None]) -> float | None:
    """The mean of what is measured; None if nothing is."""
    values = [value for value in map(of, scores) if value is not None]
    return sum(values) / len(values) if values else None
