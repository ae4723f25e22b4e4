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
    """Measure missing scores, and write the report to ``out``, with PNG files in a folder of its name.

    Args:
        data: Folder of test sets and videos.
        work: Folder of runs, in ``work/runs``, and of scores, in ``work/systems``.
        only: Experiments to run, by default all. The report shows all scores.
        pictures: Maximum number of pictures of each larger set.
        side: Side of the centre crop of larger pictures.
        out: The Markdown file.
        perceptual: Whether to measure the perceptual distance, which takes longer than all else.

    Raises:
        ValueError: There is no such experiment, nothing is trained, test pictures are missing, or methods were measured
            on different ones.
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
