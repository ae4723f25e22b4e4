"""All experiments, then the report."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from train.systems.experiments import EXPERIMENTS, Ground
from train.systems.methods import RECIPES, Trained
from train.systems.report import write_report
from train.systems.sheets import write_sheets

CODED = "av1"


def compare(
    data: Path, work: Path, only: Sequence[str], pictures: int, side: int, out: Path, *, perceptual: bool = True
) -> Iterator[str]:
    """Measure what is not measured yet, and write the report to ``out``, with PNG files in a folder of its name.

    Args:
        data: Folder of test sets and videos.
        work: Runs are in ``work/runs``, scores in ``work/systems``.
        only: Experiments to make; all if there is none. The report is of all that are measured.
        pictures: Of each of the larger sets, at most.
        side: Of the larger pictures, the middle of so many pixels.
        out: The Markdown file.
        perceptual: Whether a perceptual distance is measured too, which takes longer than all else.

    Raises:
        ValueError: There is no such experiment, nothing is trained, or test pictures are missing.
    """
    known = (*EXPERIMENTS, CODED)
    if unknown := [name for name in only if name not in known]:
        raise ValueError(f"there is no experiment {unknown[0]!r}; there are {', '.join(known)}")
    runs = work / "runs"
    trained = Trained(runs)
    if not trained.names():
        raise ValueError(f"no system is trained: {runs} has no finished run; make systems trains all")
    ground = Ground(data, trained, pictures, side, perceptual, work / "systems")
    for name in only or known:
        if name == CODED:
            from train.systems.coded import av1

            yield from av1(ground)
        else:
            yield from EXPERIMENTS[name](ground)
    folder = out.with_suffix("")
    sheets = write_sheets(ground, runs, folder)
    write_report(ground, runs, RECIPES, out, [f"{folder.name}/{entry}" for entry in sheets])
    yield str(out)
