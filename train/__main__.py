"""The command line of ``python -m train``."""

from pathlib import Path

import click

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(context_settings={"max_content_width": 110})
def main() -> None:
    """Make datasets and models for vs-srcomp, and measure them."""


@main.command()
@click.argument("recipes", nargs=-1, required=True, type=FILE)
@click.option("--images", type=FOLDER, required=True, help="Photographs to train on.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("work"), help="Coded streams and runs go here.")
@click.option("--threads", type=int, help="CPU threads to compute with [default: all].")
def fit(recipes: tuple[Path, ...], images: Path, work: Path, threads: int | None) -> None:
    """Train the models of RECIPES, one after the other; a run that was stopped goes on."""
    import torch

    from train.crops import load_pairs, split
    from train.degrade import make_streams
    from train.fit import fit as fit_one
    from train.pictures import each_luma
    from train.recipe import load_recipe

    if threads:
        torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loaded = [load_recipe(path) for path in recipes]
    make_streams(images, work / "streams", dict.fromkeys(recipe.pair for recipe in loaded))
    originals = list(each_luma(images))
    for recipe in loaded:
        train, valid = split(load_pairs(originals, work / "streams", recipe.pair), recipe.valid_share, recipe.seed)
        fit_one(recipe, train, valid, work / "runs", device)


if __name__ == "__main__":
    main(prog_name="python -m train")
