"""Commands that measure models on test sets."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from train.commands.options import FILE, FOLDER, data_and_work, test_sets
from train.commands.options import tiers as tiers_option

if TYPE_CHECKING:
    from train.pairs import Pair

RESULTS = Path("train/results")


def chosen_pairs(slugs: tuple[str, ...], *, record: bool) -> "Sequence[Pair]":
    """The pairs of the option ``--pair``, each once, or all twelve, which alone can be recorded."""
    from train.pairs import PAIRS, pair_by_slug

    pairs = list(dict.fromkeys(map(pair_by_slug, slugs)))
    if record and not set(pairs) <= set(PAIRS):
        raise click.UsageError("--record keeps the twelve pairs: leave it out to measure others")
    return pairs or PAIRS


def metric_names(names: str) -> tuple[str, ...]:
    """Parse a comma-separated list of metrics."""
    from train.evaluate import METRICS

    chosen = tuple(name.strip() for name in names.split(","))
    if unknown := [name for name in chosen if name not in METRICS]:
        raise click.BadParameter(f"there is no metric {unknown[0]!r}; there are {', '.join(METRICS)}")
    return chosen


@click.command()
@test_sets
@click.option("--model", "networks", multiple=True, type=FILE, help="Another ONNX file to measure, at every pair.")
@click.option(
    "--metrics",
    default="psnr,ssim",
    show_default=True,
    callback=lambda context, parameter, value: metric_names(value),
    help="Comma-separated list of psnr, ssim, vmaf and vmaf-neg; vmaf is the slowest.",
)
@click.option(
    "--ensemble",
    "ensembles",
    type=click.Choice(["2", "4", "8"]),
    multiple=True,
    callback=lambda context, parameter, value: [int(views) for views in value],
    help="Measure each tier with --ensemble N, too: N times the work.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for CSV and Markdown files [default: WORK/scores].",
)
@click.option(
    "--record", is_flag=True, help="Update what was measured in the project's scores, tables and models.json."
)
def evaluate(
    folders: tuple[Path, ...],
    work: Path,
    tiers: tuple[str, ...],
    slugs: tuple[str, ...],
    networks: tuple[Path, ...],
    metrics: tuple[str, ...],
    ensembles: list[Literal[2, 4, 8]],
    out: Path | None,
    record: bool,
) -> None:
    """Measure the models and classic kernels on pictures, through vs_srcomp.upscale on 8-bit frames."""
    from train.evaluate import Score, check_metrics, check_pictures, updated
    from train.evaluate import evaluate as scores_of
    from train.report import check_places, costs_of_tiers, record_gains, tables, write_report, write_tables
    from train.table import read_rows, write_rows

    pairs = chosen_pairs(slugs, record=record)
    if record and networks:
        raise click.UsageError("--record keeps scores of the package's models: leave it out, or --model")
    documents = [Path("README.md"), Path("docs/results/stills.md")]
    files = {path.name: RESULTS / f"{path.name}.csv" for path in folders}
    before = {name: read_rows(path, Score) if path.exists() else [] for name, path in files.items()}
    if record:
        for of_set in before.values():
            check_metrics(of_set, metrics)
        check_places([f"gains: {name}" for name in files], documents[-1])
    scores = {}
    for path in folders:
        streams = work / "evaluation" / path.name
        scores[path.name] = list(
            scores_of(path, streams, pairs, tiers, networks=networks, metrics=metrics, ensembles=ensembles)
        )
    for name, of_set in scores.items():
        click.echo(f"{name}, {len({score.picture for score in of_set})} pictures")
        for metric, table in tables(of_set):
            click.echo(f"{metric.title}\n{table}\n")
        write_rows((out or work / "scores") / f"{name}.csv", Score, of_set)
        write_report(of_set, name, (out or work / "scores") / f"{name}.md")
    if record:
        recorded = {name: updated(before[name], of_set, tiers) for name, of_set in scores.items()}
        for of_set in recorded.values():
            check_pictures(of_set)
        for name, of_set in recorded.items():
            write_rows(files[name], Score, of_set)
            record_gains(of_set, name, Path("engines/models.json"))
        write_tables(recorded, documents, costs_of_tiers(Path("engines/models.json")))


@click.command()
@test_sets
@click.option(
    "--only-crisp", is_flag=True, help="With --record: keep the recorded scores of Lanczos-5 and the faithful networks."
)
@click.option(
    "--record", is_flag=True, help="Update what was measured in train/results, and tables in docs/results/looks.md."
)
def compare_looks(
    folders: tuple[Path, ...],
    work: Path,
    tiers: tuple[str, ...],
    slugs: tuple[str, ...],
    only_crisp: bool,
    record: bool,
) -> None:
    """Compare crisp models with faithful ones of any sharpness: PSNR, VMAF-NEG, ST-LPIPS and SSIMULACRA 2."""
    from train.evaluate import updated
    from train.looks import LookScore, check_faithful, crisp_tiers, look_table, marks_of, ratio_table
    from train.looks import compare_looks as compare
    from train.report import check_places, write_marked
    from train.table import read_rows, write_rows

    if only_crisp and not record:
        raise click.UsageError("--only-crisp leaves out what tables compare with: it needs --record")
    pairs = chosen_pairs(slugs, record=record)
    if not (tiers := tuple(crisp_tiers(tiers, pairs))):
        raise click.ClickException("there is no crisp model of these tiers at these ratios")
    document = Path("docs/results/looks.md")
    files = {path: (RESULTS if record else work / "scores") / f"looks-{path.name}.csv" for path in folders}
    before = {path: read_rows(file, LookScore) if record and file.exists() else [] for path, file in files.items()}
    if record:
        check_places([mark for path in folders for tier in tiers for mark in marks_of(path, tier)], document)
    if only_crisp:
        for of_set in before.values():
            for tier in tiers:
                check_faithful(of_set, tier, pairs)
    for path in folders:
        measured = compare(path, work / "evaluation" / path.name, pairs, tiers, only_crisp=only_crisp)
        scores = updated(before[path], list(measured))
        tables = {
            mark: table
            for tier in tiers
            for mark, table in zip(
                marks_of(path, tier), (look_table(scores, tier), ratio_table(scores, tier)), strict=True
            )
        }
        write_rows(files[path], LookScore, scores)
        click.echo(f"{path.name}, {len({score.picture for score in scores})} pictures")
        for table in tables.values():
            click.echo(f"{table}\n")
        if record:
            write_marked(tables, document)


@click.command()
@click.option("--videos", type=FOLDER, required=True, help="Folder of videos of good quality.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("work"), help="Folder for coded streams.")
@tiers_option("fast")
@click.option("--ratio", "ratios", multiple=True, default=("2:1",), show_default=True, help="May be repeated.")
@click.option("--frames", type=click.IntRange(min=2), default=33, show_default=True, help="Frames per video.")
@click.option(
    "--record", is_flag=True, help="Update what was measured in train/results/video.csv and docs/results/video.md."
)
def evaluate_video(
    videos: Path, work: Path, tiers: tuple[str, ...], ratios: tuple[str, ...], frames: int, record: bool
) -> None:
    """Measure the models on video coded with inter frames: gain and flicker against Lanczos-5."""
    from train.clips import FRAMES
    from train.report import check_places, has_place, write_marked
    from train.table import read_rows, write_rows
    from train.video import ClipScore, evaluate_videos, updated_clips, video_means, video_tables
    from vs_srcomp.geometry import ratio_by_name

    if record and frames != FRAMES:
        raise click.UsageError(f"--record keeps scores over {FRAMES} frames: leave it out, or --frames")
    document, means = Path("docs/results/video.md"), "video: means"
    if record:
        check_places([means], document)
    chosen = list(dict.fromkeys(map(ratio_by_name, ratios)))
    scores = list(evaluate_videos(videos, work / "video", chosen, tiers, frames))
    write_rows(work / "scores" / "video.csv", ClipScore, scores)
    for title, table in video_tables(scores).items():
        click.echo(f"{title}\n{table}\n")
    if record:
        path = RESULTS / "video.csv"
        recorded = updated_clips(read_rows(path, ClipScore) if path.exists() else [], scores)
        tables = {f"video: {title}": table for title, table in video_tables(recorded).items()}
        write_rows(path, ClipScore, recorded)
        shown = {mark: table for mark, table in tables.items() if has_place(mark, document)}
        write_marked({means: video_means(recorded), **shown}, document)


@click.command()
@data_and_work(data="Folder with test/kodak and video.", work="Streams and points go to WORK/rate.")
@tiers_option("light", "fast", "quality")
@click.option("--pictures", type=click.IntRange(min=0), help="Number of Kodak pictures; 0 for none [default: all].")
@click.option("--videos/--no-videos", default=True, show_default=True)
@click.option("--record", is_flag=True, help="Write points to train/results/rate.csv, tables and plot to docs/results.")
def rate(data: Path, work: Path, tiers: tuple[str, ...], pictures: int | None, videos: bool, record: bool) -> None:
    """Measure whether a lower resolution pays: quality over bits of native AV1, and of each ratio, restored.

    Earlier points of the same networks are kept, those of others are dropped, and a stopped run is resumed.
    """
    from train.rate import Point, measure
    from train.rate_report import record as write
    from train.rate_report import summary, tables
    from train.table import write_rows

    if pictures == 0 and not videos:
        raise click.UsageError("--pictures 0 and --no-videos leave nothing to measure")
    stills = None if pictures == 0 else data / "test" / "kodak"
    points = measure(stills, data / "video" if videos else None, work / "rate", tiers, pictures=pictures).points
    click.echo(summary(points))
    for mark, table in tables(points).items():
        click.echo(f"\n{mark}\n{table}")
    if record:
        write_rows(RESULTS / "rate.csv", Point, points)
        write(points, Path("docs/results/rate.md"))


@click.command()
@data_and_work(
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
    for line in compare(data, work, only, pictures, side, out, perceptual=perceptual):
        click.echo(line)
