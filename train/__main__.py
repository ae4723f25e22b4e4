"""The command line of ``python -m train``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from train.systems.commands import COMMANDS

if TYPE_CHECKING:
    from train.degradations.av1 import Pair

type Command = Callable[..., Any]

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
RESULTS = Path("train/results")


def material(*, required: bool = True) -> Callable[[Command], Command]:
    """Options of commands that read training material."""
    images = click.option(
        "--images",
        type=click.Path(exists=True, path_type=Path),
        required=required,
        multiple=True,
        help="Folder of training photographs or videos, or a single file; may be repeated. The recipe's material "
        "decides which files are used.",
    )
    work = click.option(
        "--work", type=click.Path(path_type=Path), default=Path("work"), help="Folder for streams and runs."
    )
    return lambda command: images(work(command))


def numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[float]:
    """Parse comma-separated numbers."""
    try:
        return [float(part) for part in value.split(",")] if value else []
    except ValueError as reason:
        raise click.BadParameter(f"{value!r} is not numbers with commas between them") from reason


def chosen_pairs(slugs: tuple[str, ...], *, record: bool) -> "Sequence[Pair]":
    """The pairs of the option ``--pair``, or all twelve, which alone can be recorded."""
    from train.degradations.av1 import PAIRS, pair_by_slug

    pairs = [pair_by_slug(slug) for slug in slugs]
    if record and not set(pairs) <= set(PAIRS):
        raise click.UsageError("--record keeps the twelve pairs: leave it out to measure others")
    return pairs or PAIRS


class _Training(click.Group):
    """A group of commands that need the packages of the extra ``train``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] in ("train", "vs_srcomp"):
                raise
            raise click.ClickException(
                f"training needs {missing.name}, which is not installed: pip install '.[train]'"
            ) from missing
        except ValueError as wrong:  # from the material or the arguments
            raise click.ClickException(str(wrong)) from wrong
        except OSError as reason:
            if reason.filename is None:
                raise
            what = f"{reason.filename}: {reason.strerror}"
            raise click.ClickException(f"{what}; give another folder with --work, --engines or --out") from reason


@click.group(cls=_Training, context_settings={"max_content_width": 110})
def main() -> None:
    """Make datasets and models for vs-srcomp, and evaluate them."""


@main.command()
@click.option("--images", type=FOLDER, required=True, help="Folder of photographs, or DIV2K.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Output folder.")
@click.option("--ratio", "ratios", multiple=True, default=("all",), show_default=True, help="Such as 2:1.")
@click.option("--q", "quantizers", multiple=True, default=("all",), show_default=True, help="Such as 40.")
@click.option("--test-images", type=FOLDER, help="Test set [default: a ninth of IMAGES, or DIV2K's own].")
@click.option("--name", help="Prefix of the file names [default: DIV2K, or the folder's name].")
@click.option("--patches-per-picture", "patches", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of split and patches.")
@click.option("--processes", type=click.IntRange(min=1), help="[default: one per core]")
def dataset(ratios: tuple[str, ...], quantizers: tuple[str, ...], **options: Any) -> None:
    """Write patch pairs as .npz: train, valid and test for each ratio and compression level.

    A stopped run is resumed. The same pictures and options give the same bytes.
    """
    from train.dataset import DatasetOptions, choose_pairs, make_dataset

    try:
        made = make_dataset(DatasetOptions(pairs=choose_pairs(ratios, quantizers), **options))
    except (ValueError, RuntimeError) as reason:
        raise click.ClickException(str(reason)) from reason
    for path in made.files:
        click.echo(path)
    if made.skipped:
        click.echo(f"{len(made.skipped)} pictures were skipped:", err=True)
        for why in made.skipped:
            click.echo(f"  {why}", err=True)


@main.command()
@click.argument("file", type=FILE)
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="PNG file for some of its pairs.")
def inspect(file: Path, sheet: Path | None) -> None:
    """Show the content of FILE, an .npz of patch pairs."""
    from train.inspection import describe, write_sheet

    try:
        click.echo(describe(file))
        if sheet:
            write_sheet(file, sheet)
    except ValueError as reason:
        raise click.ClickException(str(reason)) from reason


@main.command()
@click.argument("recipes", nargs=-1, required=True, type=FILE)
@material()
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: all].")
@click.option(
    "--seconds",
    callback=numbers,
    help="Time limit per run, to which the schedule is adapted: one number, or one per recipe, with commas.",
)
def fit(
    recipes: tuple[Path, ...], images: tuple[Path, ...], work: Path, threads: int | None, seconds: list[float]
) -> None:
    """Train the models of RECIPES, in the order of their dependencies. A stopped run is resumed.

    \b
    On several cards or machines that share a file system:
      torchrun --nproc-per-node 4 -m train fit RECIPE --images DIR
    """
    import torch

    from train.fit import Diverged, check_runs
    from train.fit import fit as fit_one
    from train.material.gather import Gatherer
    from train.parallel import team
    from train.recipe import in_order, load_recipe

    if len(seconds) not in (0, 1, len(recipes)):
        raise click.UsageError(f"--seconds has {len(seconds)} numbers for {len(recipes)} recipes")
    if any(not budget > 0 for budget in seconds):
        raise click.UsageError("--seconds takes numbers above 0")
    if threads:
        torch.set_num_threads(threads)
    (work / "runs").mkdir(parents=True, exist_ok=True)
    try:
        budgets = dict(zip(recipes, seconds * len(recipes) if len(seconds) == 1 else seconds, strict=False))
        with team() as processes:
            gatherer = Gatherer(images, work)
            for path, recipe in in_order((path, load_recipe(path)) for path in recipes):
                check_runs(recipe, work / "runs")
                if not processes.leads:
                    processes.wait()
                train, valid = gatherer.of(recipe) if recipe.steps else ([], [])
                if processes.leads:
                    processes.wait()
                fit_one(recipe, train, valid, work / "runs", processes, budgets.get(path))
    except KeyboardInterrupt:
        raise click.ClickException("stopped; the same command goes on from the last checkpoint") from None
    except (ValueError, RuntimeError) as reason:
        if isinstance(reason, Diverged | ValueError) or "encoder failed" in str(reason):
            raise click.ClickException(str(reason)) from reason
        raise


@main.command()
@click.argument("recipes", nargs=-1, required=True, type=FILE)
@material(required=False)
@click.option("--engines", type=FOLDER, default=Path("engines"), help="Folder of models and models.json.")
@click.option("--levels", callback=numbers, help="Write a model per level to OUT instead: 20,30,40,50.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Output folder for --levels.")
def export(
    recipes: tuple[Path, ...],
    images: tuple[Path, ...],
    work: Path,
    engines: Path,
    levels: list[float],
    out: Path | None,
) -> None:
    """Export the trained models of RECIPES as ONNX files, with catalogue entries and logs. This needs --images.

    With --levels, convert exported models to one file per level, which takes only a picture, as in the original
    scheme: for programs without support for levels.
    """
    from train.export import export_levels, export_run
    from train.material.gather import Gatherer
    from train.recipe import load_recipe

    if bool(levels) != (out is not None):
        raise click.UsageError("--levels and --out belong together")
    if not levels and not images:
        raise click.UsageError("--images is missing: give the training material of the models")
    gatherer = Gatherer(images, work)
    for path in recipes:
        recipe = load_recipe(path)
        if out is not None:
            for file in export_levels(recipe, engines, levels, out):
                click.echo(file)
            continue
        # The export of our own networks needs the validation set; that of the papers' systems does not.
        valid = gatherer.valid(recipe) if recipe.steps and recipe.degradation["name"] == "av1" else []
        click.echo(export_run(recipe, path, valid, work / "runs", engines))


@main.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option(
    "--levels",
    default="20,30,40,50",
    show_default=True,
    callback=numbers,
    help="Levels of the files, in the same order.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A .safetensors file.")
def merge_levels(files: tuple[Path, ...], levels: list[float], out: Path) -> None:
    """Merge FILES, each the ONNX model of one level, into the weights of a network that interpolates between them.

    \b
    A recipe with start = "NAME" reads them from WORK/runs/NAME/weights.safetensors.
    """
    from train.merge_levels import merge_levels as merge

    try:
        merge(files, levels, out)
    except ValueError as reason:
        raise click.ClickException(str(reason)) from reason


@main.command()
@material()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Output folder.")
@click.option("--ratio", "ratios", multiple=True, default=("2:1", "8:5", "4:3"), show_default=True)
@click.option("--megabytes", type=click.IntRange(min=1), default=50, show_default=True, help="Size limit of a file.")
def pack(images: tuple[Path, ...], work: Path, out: Path, ratios: tuple[str, ...], megabytes: int) -> None:
    """Pack photographs and their coded streams into tar files, for a machine without VapourSynth and FFmpeg."""
    from train.pack import pack as write

    for path in write(images, ratios, work, out, megabytes * 1_000_000):
        click.echo(path)


@main.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Output folder.")
@click.option("--count", type=click.IntRange(min=1), default=24, show_default=True)
def draw(out: Path, count: int) -> None:
    """Write drawn training pictures: text, lines and flat areas."""
    from train.material.drawn import write_drawn

    write_drawn(out, count)


@main.command()
@click.option(
    "--images", "folders", multiple=True, type=FOLDER, required=True, help="Test set; never training pictures."
)
@click.option("--work", type=click.Path(path_type=Path), default=Path("work"), help="Folder for coded streams.")
@click.option("--tier", "tiers", multiple=True, default=("fast",), show_default=True, help="Models to measure.")
@click.option(
    "--pair", "slugs", multiple=True, help="A ratio and a level, as in 2by1-q40; may be repeated [default: twelve]."
)
@click.option("--model", "networks", multiple=True, type=FILE, help="Another ONNX file to measure, at every pair.")
@click.option(
    "--metrics",
    default="psnr,ssim",
    show_default=True,
    callback=lambda context, parameter, value: metric_names(value),
    help="Comma-separated list of psnr, ssim, vmaf and vmaf-neg; vmaf is the slowest.",
)
@click.option("--ensemble", is_flag=True, help="Measure each tier with --ensemble, too: 8 times the work.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for CSV and Markdown files [default: WORK/scores]."
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
    ensemble: bool,
    out: Path | None,
    record: bool,
) -> None:
    """Measure the models and classic kernels on pictures, through vs_srcomp.upscale on 8-bit frames."""
    from train.evaluate import Score, check_metrics, check_pictures, updated
    from train.evaluate import evaluate as scores_of
    from train.report import costs_of_tiers, record_gains, tables, write_report, write_tables
    from train.table import read_rows, write_rows

    pairs = chosen_pairs(slugs, record=record)
    if record and networks:
        raise click.UsageError("--record keeps scores of the package's models: leave it out, or --model")
    files = {path.name: RESULTS / f"{path.name}.csv" for path in folders}
    before = {name: read_rows(path, Score) if path.exists() else [] for name, path in files.items()}
    if record:
        for of_set in before.values():
            check_metrics(of_set, metrics)
    scores = {}
    for path in folders:
        streams = work / "evaluation" / path.name
        scores[path.name] = list(
            scores_of(path, streams, pairs, tiers, networks=networks, metrics=metrics, ensemble=ensemble)
        )
    for name, of_set in scores.items():
        click.echo(f"{name}, {len({score.picture for score in of_set})} pictures")
        for metric, table in tables(of_set):
            click.echo(f"{metric.title}\n{table}\n")
        write_rows((out or work / "scores") / f"{name}.csv", Score, of_set)
        write_report(of_set, name, (out or work / "scores") / f"{name}.md")
    if record:
        recorded = {name: updated(before[name], of_set) for name, of_set in scores.items()}
        for name, of_set in recorded.items():
            write_rows(files[name], Score, of_set)
            check_pictures(of_set)
            record_gains(of_set, name, Path("engines/models.json"))
        write_tables(
            recorded, [Path("README.md"), Path("docs/results/stills.md")], costs_of_tiers(Path("engines/models.json"))
        )


@main.command()
@click.option(
    "--images", "folders", multiple=True, type=FOLDER, required=True, help="Test set; never training pictures."
)
@click.option("--work", type=click.Path(path_type=Path), default=Path("work"), help="Folder for coded streams.")
@click.option("--tier", "tiers", multiple=True, default=("fast",), show_default=True, help="Models to measure.")
@click.option(
    "--pair", "slugs", multiple=True, help="A ratio and a level, as in 2by1-q40; may be repeated [default: twelve]."
)
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
        write_rows(files[path], LookScore, scores)
        click.echo(f"{path.name}, {len({score.picture for score in scores})} pictures")
        for tier in tiers:
            tables = dict(zip(marks_of(path, tier), (look_table(scores, tier), ratio_table(scores, tier)), strict=True))
            for table in tables.values():
                click.echo(f"{table}\n")
            if record:
                write_marked(tables, document)


@main.command()
@click.argument("recipes", nargs=-1, required=True, type=FILE)
@material()
@click.option("--crops", type=click.IntRange(min=1), default=24, show_default=True, help="Crops to score.")
def judge(recipes: tuple[Path, ...], images: tuple[Path, ...], work: Path, crops: int) -> None:
    """Judge the trained crisp runs of RECIPES on crops of validation pictures, without a look at a test set.

    Each is compared with the package's faithful network of any sharpness: PSNR, VMAF-NEG, ST-LPIPS and SSIMULACRA 2.
    A second table has the shift of brightness of constant pictures.
    """
    from train.judge import faithful_of, shift_table
    from train.judge import judge as judged
    from train.looks import look_table
    from train.material.gather import Gatherer
    from train.recipe import load_recipe
    from train.trained import network_of

    gatherer = Gatherer(images, work)
    for path in recipes:
        recipe = load_recipe(path)
        faithful, network = faithful_of(recipe), network_of(recipe, work / "runs")
        scores = list(judged(recipe, network, faithful, gatherer.valid(recipe), crops))
        click.echo(f"{recipe.name}, {len({score.picture for score in scores})} crops")
        click.echo(f"{look_table(scores, str(recipe.tier))}\n\n{shift_table(network)}\n")


@main.command()
@click.option("--videos", type=FOLDER, required=True, help="Folder of videos of good quality.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("work"), help="Folder for coded streams.")
@click.option("--tier", "tiers", multiple=True, default=("fast",), show_default=True, help="Models to measure.")
@click.option("--ratio", "ratios", multiple=True, default=("2:1",), show_default=True, help="May be repeated.")
@click.option("--frames", type=click.IntRange(min=2), default=33, show_default=True, help="Frames per video.")
@click.option(
    "--record", is_flag=True, help="Update what was measured in train/results/video.csv and docs/results/video.md."
)
def evaluate_video(
    videos: Path, work: Path, tiers: tuple[str, ...], ratios: tuple[str, ...], frames: int, record: bool
) -> None:
    """Measure the models on video coded with inter frames: gain and flicker against Lanczos-5."""
    from train.report import write_marked
    from train.table import read_rows, write_rows
    from train.video import ClipScore, evaluate_videos, updated_clips, video_tables
    from vs_srcomp.geometry import ratio_by_name

    chosen = [ratio_by_name(name) for name in ratios]
    scores = list(evaluate_videos(videos, work / "video", chosen, tiers, frames))
    for title, table in video_tables(scores).items():
        click.echo(f"{title}\n{table}\n")
    write_rows(work / "scores" / "video.csv", ClipScore, scores)
    if record:
        path = RESULTS / "video.csv"
        recorded = updated_clips(read_rows(path, ClipScore) if path.exists() else [], scores)
        write_rows(path, ClipScore, recorded)
        write_marked(
            {f"video: {title}": table for title, table in video_tables(recorded).items()},
            Path("docs/results/video.md"),
        )


@main.command()
@click.option("--runs", type=FOLDER, default=Path("train/runs"), show_default=True, help="Folder of logs.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("docs/images/curves.png"), show_default=True, help="A PNG."
)
def curves(runs: Path, out: Path) -> None:
    """Plot the gain on the validation set during training."""
    from train.run import draw_gains

    if not (logs := list(runs.glob("*.csv"))):
        raise click.BadParameter(f"no logs are in {runs}", param_hint="--runs")
    draw_gains(logs, out)


@main.command()
@click.argument("names", nargs=-1)
@click.option("--images", type=FOLDER, required=True, help="Photographs of the training set.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("work"), help="Folder for coded streams.")
@click.option("--engines", type=FOLDER, default=Path("engines"), help="Folder of models and models.json.")
@click.option("--pictures", type=click.IntRange(min=1), default=8, show_default=True, help="Number of photographs.")
def ranges(names: tuple[str, ...], images: Path, work: Path, engines: Path, pictures: int) -> None:
    """Measure the 8-bit integer ranges of the models NAMES [default: all of ours], and write them to models.json.

    The channels of a model are first equalised, which changes its file but not its results. `evaluate` then measures
    the loss of integers on a test set, as the method "TIER int8".
    """
    from train.calibrate import calibrate

    for line in calibrate(engines, images, work / "ranges", names, pictures):
        click.echo(line)


def metric_names(names: str) -> tuple[str, ...]:
    """Parse a comma-separated list of metrics."""
    from train.evaluate import METRICS

    chosen = tuple(name.strip() for name in names.split(","))
    if unknown := [name for name in chosen if name not in METRICS]:
        raise click.BadParameter(f"there is no metric {unknown[0]!r}; there are {', '.join(METRICS)}")
    return chosen


for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m train")
