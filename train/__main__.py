"""The command line of ``python -m train``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

type Command = Callable[..., Any]

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def photographs(command: Command) -> Command:
    """The options of commands that read what was trained on."""
    images = click.option("--images", type=FOLDER, required=True, help="Photographs to train on.")
    work = click.option(
        "--work", type=click.Path(path_type=Path), default=Path("work"), help="Streams and runs go here."
    )
    return images(work(command))


@click.group(context_settings={"max_content_width": 110})
def main() -> None:
    """Make datasets and models for vs-srcomp, and measure them."""


@main.command()
@click.argument("recipes", nargs=-1, required=True, type=FILE)
@photographs
@click.option("--threads", type=int, help="CPU threads to compute with [default: all].")
def fit(recipes: tuple[Path, ...], images: Path, work: Path, threads: int | None) -> None:
    """Train the models of RECIPES, those first that others start from; a run that was stopped goes on.

    \b
    On several cards or machines that share a file system:
      torchrun --nproc-per-node 4 -m train fit RECIPE --images DIR
    """
    import torch

    from train.fit import fit as fit_one
    from train.material import gather
    from train.parallel import team
    from train.recipe import in_order, load_recipe

    if threads:
        torch.set_num_threads(threads)
    loaded = [recipe for _, recipe in in_order((path, load_recipe(path)) for path in recipes)]
    with team() as processes:
        if not processes.leads:
            processes.wait()
        material = gather(images, work / "streams", loaded, code=processes.leads)
        if processes.leads:
            processes.wait()
        for recipe in loaded:
            fit_one(recipe, material.train(recipe), material.valid(recipe), work / "runs", processes)


@main.command()
@click.argument("recipes", nargs=-1, required=True, type=FILE)
@photographs
@click.option("--engines", type=FOLDER, default=Path("engines"), help="Where the models and models.json go.")
def export(recipes: tuple[Path, ...], images: Path, work: Path, engines: Path) -> None:
    """Write the trained models of RECIPES as ONNX files, with their descriptors and logs."""
    from train.export import export_run
    from train.material import gather
    from train.recipe import load_recipe

    loaded = [load_recipe(path) for path in recipes]
    material = gather(images, work / "streams", loaded)
    for path, recipe in zip(recipes, loaded, strict=True):
        click.echo(export_run(recipe, path, material.valid(recipe), work / "runs", engines))


@main.command()
@click.option(
    "--images", "folders", multiple=True, type=FOLDER, required=True, help="Pictures; never those trained on."
)
@click.option("--work", type=click.Path(path_type=Path), default=Path("work"), help="Coded streams are kept here.")
@click.option("--tier", "tiers", multiple=True, default=("fast",), show_default=True, help="Models to measure.")
@click.option("--pair", "slugs", multiple=True, help="Such as 2by1-q40; may be repeated [default: all twelve].")
@click.option("--record", is_flag=True, help="Write scores, tables and the models' gains to the files of the project.")
def evaluate(
    folders: tuple[Path, ...], work: Path, tiers: tuple[str, ...], slugs: tuple[str, ...], record: bool
) -> None:
    """Measure Y-PSNR of the models and of classic kernels, through vs_srcomp.upscale on 8-bit frames."""
    from train.degrade import PAIRS, pair_by_slug
    from train.evaluate import evaluate as scores_of
    from train.report import gain_table, record_gains, write_scores, write_tables

    pairs = [pair_by_slug(slug) for slug in slugs] or PAIRS
    scores = {path.name: list(scores_of(path, work / "evaluation" / path.name, pairs, tiers)) for path in folders}
    for name, of_set in scores.items():
        click.echo(f"{name}, {len({score.picture for score in of_set})} pictures\n{gain_table(of_set)}\n")
        if record:
            write_scores(of_set, Path("train/results") / f"{name}.csv")
            record_gains(of_set, name, Path("engines/models.json"))
    if record:
        write_tables(scores, [Path("README.md"), Path("train/RESULTS.md")])


if __name__ == "__main__":
    main(prog_name="python -m train")
