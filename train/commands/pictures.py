"""Commands that make and show training material."""

from pathlib import Path
from typing import Any

import click

from train.commands.options import FILE, FOLDER


@click.command()
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

    made = make_dataset(DatasetOptions(pairs=choose_pairs(ratios, quantizers), **options))
    for path in made.files:
        click.echo(path)
    if made.skipped:
        click.echo("these pictures were skipped:", err=True)
        for why in made.skipped:
            click.echo(f"  {why}", err=True)


@click.command()
@click.argument("file", type=FILE)
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="PNG file for some of its pairs.")
def inspect(file: Path, sheet: Path | None) -> None:
    """Show the content of FILE, an .npz of patch pairs."""
    from train.inspection import describe, write_sheet

    click.echo(describe(file))
    if sheet:
        write_sheet(file, sheet)


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Output folder.")
@click.option("--count", type=click.IntRange(min=1), default=24, show_default=True)
def draw(out: Path, count: int) -> None:
    """Write drawn training pictures: text, lines and flat areas."""
    from train.material.drawn import write_drawn

    write_drawn(out, count)


@click.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the pictures.")
@click.option("--count", type=click.IntRange(min=1), default=100, show_default=True, help="Frames of each video.")
def frames(videos: tuple[Path, ...], out: Path, count: int) -> None:
    """Write evenly spaced frames of VIDEOS as pictures.

    As training pictures they would be split at random, with neighbours on both sides: to train on videos, give a recipe
    the material "videos".
    """
    from train.material.pictures import check_names
    from train.material.videos import write_frames

    check_names(videos)  # which name the frames
    for video in videos:
        for path in write_frames(video, out, count):
            click.echo(path)


@click.command()
@click.option("--images", type=FOLDER, required=True, multiple=True, help="Folder of photographs; may be repeated.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("work"), help="Folder for streams.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Output folder.")
@click.option("--ratio", "ratios", multiple=True, default=("2:1", "8:5", "4:3"), show_default=True)
@click.option("--megabytes", type=click.IntRange(min=1), default=50, show_default=True, help="Size limit of a part.")
def pack(images: tuple[Path, ...], work: Path, out: Path, ratios: tuple[str, ...], megabytes: int) -> None:
    """Pack photographs and their coded streams into tar files, for a machine without FFmpeg.

    VapourSynth is needed there, too, and comes with pip. A file larger than --megabytes makes a larger part by itself.
    """
    from train.pack import pack as write

    for path in write(images, ratios, work, out, megabytes * 1_000_000):
        click.echo(path)
