"""Commands of ``python -m train`` for parts of recipes and for the systems of the papers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def folders[F: Callable[..., Any]](data: str, work: str) -> Callable[[F], F]:
    """The options ``--data`` and ``--work``, with the help texts ``data`` and ``work``."""
    folder = click.Path(file_okay=False, path_type=Path)
    shared = click.Path(exists=True, file_okay=False, path_type=Path)

    def decorate(command: F) -> F:
        command = click.option("--work", type=folder, default=Path("work"), show_default=True, help=work)(command)
        return click.option("--data", type=shared, default=Path("../shared/data"), show_default=True, help=data)(
            command
        )

    return decorate


@click.command(name="list")
@click.argument("kind", type=click.Choice(["networks", "degradations", "objectives", "materials", "metrics"]))
def list_command(kind: str) -> None:
    """Print the parts of one KIND that recipes can name: parameters, cost, paper."""
    from train.listing import list_parts

    for line in list_parts(kind):
        click.echo(line)


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
def vgg_weights(out: Path) -> None:
    """Write the weights of VGG16 to OUT, for the perceptual objective, from the package stlpips-pytorch."""
    from train.objectives.vgg import write_vgg_weights

    try:
        write_vgg_weights(out)
    except (ValueError, OSError) as reason:
        raise click.ClickException(str(reason)) from reason
    click.echo(out)


@click.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the pictures.")
@click.option("--count", type=click.IntRange(min=1), default=100, show_default=True, help="Frames of each video.")
def frames(videos: tuple[Path, ...], out: Path, count: int) -> None:
    """Write evenly spaced frames of VIDEOS as training pictures."""
    from train.material.videos import write_frames

    try:
        for video in videos:
            for path in write_frames(video, out, count):
                click.echo(path)
    except ValueError as reason:
        raise click.ClickException(str(reason)) from reason


@click.command()
@folders(
    data="Folder with test/set5, set14, kodak and clic, and video.",
    work="Finished runs are in WORK/runs; scores go to WORK/systems.",
)
@click.option("--only", multiple=True, help="Experiment: line, espcn, fd-srcnn, cisr-psi, av1; may be repeated.")
@click.option(
    "--pictures", type=click.IntRange(min=2), default=24, show_default=True, help="Kodak and CLIC pictures, at most."
)
@click.option("--side", type=click.IntRange(min=64), default=256, show_default=True, help="Side of their centre crops.")
@click.option(
    "--perceptual/--no-perceptual", default=True, show_default=True, help="Measure the slow perceptual distance, too."
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: all].")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("docs/results/systems.md"), show_default=True
)
def compare_systems(
    data: Path,
    work: Path,
    only: tuple[str, ...],
    pictures: int,
    side: int,
    perceptual: bool,
    threads: int | None,
    out: Path,
) -> None:
    """Measure the systems of the papers, each under its paper's conditions and all on AV1, and write a report.

    Earlier scores are kept: a stopped comparison is resumed, and only networks with newer weights are measured again.
    Systems without a finished run are skipped.
    """
    import torch

    from train.systems.compare import compare

    if threads:
        torch.set_num_threads(threads)
    try:
        for line in compare(data, work, only, pictures, side, out, perceptual=perceptual):
            click.echo(line)
    except ValueError as reason:
        raise click.ClickException(str(reason)) from reason


@click.command()
@folders(data="Folder with test/kodak and video.", work="Streams and points go to WORK/rate.")
@click.option("--tier", "tiers", multiple=True, default=("light", "fast", "quality"), show_default=True)
@click.option("--pictures", type=click.IntRange(min=0), help="Number of Kodak pictures; 0 for none [default: all].")
@click.option("--videos/--no-videos", default=True, show_default=True)
@click.option("--record", is_flag=True, help="Write points to train/results/rate.csv, tables and plot to docs/results.")
def rate(data: Path, work: Path, tiers: tuple[str, ...], pictures: int | None, videos: bool, record: bool) -> None:
    """Measure whether a lower resolution pays: quality over bits of native AV1, and of each ratio, restored.

    Earlier points are kept, and a stopped run is resumed.
    """
    from train.rate import Point, measure
    from train.rate_report import record as write
    from train.rate_report import summary, tables
    from train.table import write_rows

    stills = None if pictures == 0 else data / "test" / "kodak"
    try:
        points = measure(stills, data / "video" if videos else None, work / "rate", tiers, pictures=pictures).points
    except ValueError as reason:
        raise click.ClickException(str(reason)) from reason
    click.echo(summary(points))
    for mark, table in tables(points).items():
        click.echo(f"\n{mark}\n{table}")
    if record:
        write_rows(Path("train/results/rate.csv"), Point, points)
        write(points, Path("docs/results/rate.md"))


COMMANDS = (list_command, vgg_weights, frames, compare_systems, rate)
