"""Commands that train networks, and make the package's models of them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from train.commands.options import FILE, FOLDER, level_list, material, numbers
from vs_srcomp.cli.ending import signals_call

if TYPE_CHECKING:
    from train.material.coded import Example
    from train.recipe import Recipe


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
    except OSError as reason:
        raise click.ClickException(str(reason)) from reason
    click.echo(out)


@click.command()
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

    from train.earlier_runs import check_runs
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
    begun: Recipe | None = None
    try:
        budgets = dict(zip(recipes, seconds * len(recipes) if len(seconds) == 1 else seconds, strict=False))
        with signals_call(_interrupt), team() as processes:
            gatherer = Gatherer(images, work)
            ordered = in_order((path, load_recipe(path)) for path in recipes)
            for _, recipe in ordered:
                check_runs(recipe, work / "runs", {each.name for _, each in ordered})
            for path, recipe in ordered:
                begun = recipe
                if not processes.leads:
                    processes.wait()
                train, valid = gatherer.of(recipe) if recipe.steps else ([], [])
                if processes.leads:
                    processes.wait()
                fit_one(recipe, train, valid, work / "runs", processes, budgets.get(path))
    except KeyboardInterrupt:
        raise click.ClickException(_how_to_go_on(begun, work / "runs")) from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal as Ctrl-C."""
    raise KeyboardInterrupt


def _how_to_go_on(begun: "Recipe | None", runs: Path) -> str:
    """The message after a signal; ``begun`` is the recipe whose turn it was."""
    from train.run import Run

    if begun is None:
        return "stopped before the first run; the same command begins again"
    if Run(runs / begun.name).checkpoint.exists():
        return f"stopped; the same command goes on from the last checkpoint of {begun.name}"
    return f"stopped before the first checkpoint of {begun.name}; the same command begins this run again"


@click.command()
@click.argument("recipes", nargs=-1, required=True, type=FILE)
@material()
def gains(recipes: tuple[Path, ...], images: tuple[Path, ...], work: Path) -> None:
    """Show what the trained runs of RECIPES gain on each kind of validation material, beside the package's networks.

    Photographs, small ones, clips, sharp clips, and windows with black borders: a mean over all hides what one loses.
    """
    from train.exported import is_installed
    from train.gains import gains_by_kind, gains_table
    from train.material.gather import Gatherer
    from train.recipe import load_recipe
    from train.trained import installed_network, network_of

    read = [load_recipe(path) for path in recipes]
    trained = [network_of(recipe, work / "runs") for recipe in read]
    gatherer = Gatherer(images, work)
    for recipe, network in zip(read, trained, strict=True):
        networks = {"trained": network}
        if is_installed(recipe.name):
            networks = {"package": installed_network(recipe.name), **networks}
        table = gains_table(gains_by_kind(networks, gatherer.valid(recipe)), enlarges=network.scale > 1)
        click.echo(f"{recipe.name}\n{table}\n")


@click.command()
@click.argument("recipes", nargs=-1, required=True, type=FILE)
@material()
@click.option("--crops", type=click.IntRange(min=1), default=24, show_default=True, help="Crops to score, at most.")
def judge(recipes: tuple[Path, ...], images: tuple[Path, ...], work: Path, crops: int) -> None:
    """Judge the trained crisp runs of RECIPES on crops of validation pictures, without a look at a test set.

    Each is compared with the package's faithful network of any sharpness: PSNR, VMAF-NEG, ST-LPIPS and SSIMULACRA 2.
    A second table has the shift of brightness of constant pictures.
    """
    from train.judge import faithful_of, shift_table, without_drift
    from train.judge import judge as judged
    from train.looks import look_table
    from train.material.gather import Gatherer
    from train.recipe import load_recipe
    from train.trained import network_of

    read = [load_recipe(path) for path in recipes]
    # Mistakes are reported before any picture is read.
    networks = [(faithful_of(recipe), network_of(recipe, work / "runs")) for recipe in read]
    gatherer = Gatherer(images, work)
    for recipe, (faithful, trained) in zip(read, networks, strict=True):
        valid = gatherer.valid(recipe)
        network = without_drift(trained, valid)
        scores = list(judged(recipe, network, faithful, valid, crops))
        click.echo(f"{recipe.name}, crops: {len({score.picture for score in scores})}")
        click.echo(f"{look_table(scores, str(recipe.tier))}\n\n{shift_table(network)}\n")


@click.command()
@click.argument("recipes", nargs=-1, required=True, type=FILE)
@material(required=False)
@click.option("--engines", type=FOLDER, default=Path("engines"), help="Folder of models and models.json.")
@click.option("--levels", callback=level_list, help="Write a model per level to OUT instead: 20,30,40,50.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Output folder for --levels.")
@click.option("--licence", default="that of your photographs", show_default=True, help="That of the training material.")
def export(
    recipes: tuple[Path, ...],
    images: tuple[Path, ...],
    work: Path,
    engines: Path,
    levels: list[float],
    out: Path | None,
    licence: str,
) -> None:
    """Export the trained models of RECIPES as ONNX files, with catalogue entries and logs.

    Networks that take the level need --images, the pictures that they were trained on.

    The log goes to train/runs, or beside a recipe from elsewhere, as NAME.csv.

    With --levels, convert exported models to one file per level, which takes only a picture, as in the original
    scheme: for programs without support for levels.
    """
    from train.export import export_levels, export_run
    from train.material.gather import Gatherer
    from train.recipe import load_recipe

    if bool(levels) != (out is not None):
        raise click.UsageError("--levels and --out belong together")
    gatherer = Gatherer(images, work)  # which keeps the last set for recipes that share it

    def validation_set(recipe: "Recipe") -> "Sequence[Example]":
        if not images:
            raise click.UsageError(f"--images is missing: give the training material of {recipe.name}")
        return gatherer.valid(recipe)

    for path in recipes:
        recipe = load_recipe(path)
        if out is not None:
            for file in export_levels(recipe, engines, levels, out):
                click.echo(file)
            continue
        click.echo(export_run(recipe, path, partial(validation_set, recipe), work / "runs", engines, licence))


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option(
    "--levels",
    default="20,30,40,50",
    show_default=True,
    callback=level_list,
    help="Levels of the files, in the same order.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A .safetensors file.")
def merge_levels(files: tuple[Path, ...], levels: list[float], out: Path) -> None:
    """Merge FILES, each the ONNX model of one level, into the weights of a network that interpolates between them.

    \b
    A recipe with start = "NAME" reads them from WORK/runs/NAME/weights.safetensors.
    """
    from train.merge_levels import merge_levels as merge

    merge(files, levels, out)


@click.command()
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


@click.command()
@click.option("--runs", type=FOLDER, default=Path("train/runs"), show_default=True, help="Folder of logs.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("docs/images/curves.png"), show_default=True, help="A PNG."
)
def curves(runs: Path, out: Path) -> None:
    """Plot the gain on the validation set during training."""
    from train.run import draw_gains

    if out.suffix.lower() != ".png":
        raise click.BadParameter(f"{out} does not end in .png", param_hint="--out")
    if not (logs := list(runs.glob("*.csv"))):
        raise click.BadParameter(f"no logs are in {runs}", param_hint="--runs")
    draw_gains(logs, out)
