"""Options that commands of ``python -m train`` share."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vs_srcomp.geometry import MAX_QUANTIZER
from vs_srcomp.models import TIERS

type Command = Callable[..., Any]

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def material(*, required: bool = True) -> Callable[[Command], Command]:
    """Options of commands that read the training material of recipes."""
    images = click.option(
        "--images",
        type=click.Path(exists=True, path_type=Path),
        required=required,
        multiple=True,
        help="Folder of training photographs, videos or .npz files, or a single file; may be repeated. The recipe's "
        "material decides which files are used.",
    )
    work = click.option(
        "--work", type=click.Path(path_type=Path), default=Path("work"), help="Folder for streams and runs."
    )
    return lambda command: images(work(command))


def data_and_work[F: Callable[..., Any]](data: str, work: str) -> Callable[[F], F]:
    """The options ``--data`` and ``--work``, with the help texts ``data`` and ``work``."""
    folder = click.Path(file_okay=False, path_type=Path)

    def decorate(command: F) -> F:
        command = click.option("--work", type=folder, default=Path("work"), show_default=True, help=work)(command)
        return click.option("--data", type=FOLDER, default=Path("../shared/data"), show_default=True, help=data)(
            command
        )

    return decorate


def tiers(*default: str) -> Callable[[Command], Command]:
    """The option ``--tier``."""
    return click.option(
        "--tier",
        "tiers",
        type=click.Choice(TIERS),
        multiple=True,
        default=default,
        show_default=True,
        help="Models to measure; may be repeated.",
    )


def test_sets(command: Command) -> Command:
    """The options of commands that measure models on test sets: folders, work, tiers and slugs of pairs."""
    options = (
        click.option(
            "--images",
            "folders",
            multiple=True,
            type=FOLDER,
            required=True,
            callback=_distinct,
            help="Test set; never training pictures. May be repeated.",
        ),
        click.option("--work", type=click.Path(path_type=Path), default=Path("work"), help="Folder for coded streams."),
        tiers("fast"),
        click.option(
            "--pair",
            "slugs",
            multiple=True,
            help="A ratio and a level, as in 2by1-q40; may be repeated [default: twelve].",
        ),
    )
    decorated: Command = command
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def _distinct(context: click.Context, parameter: click.Parameter, folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """Folders with their full paths: scores and streams are named for them, and "." has no name."""
    folders = tuple(folder.resolve() for folder in folders)
    names = [folder.name for folder in folders]
    if same := {name for name in names if names.count(name) > 1}:
        raise click.BadParameter(f"several folders are called {', '.join(sorted(same))}: measure them one by one")
    return folders


def numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[float]:
    """Parse comma-separated numbers."""
    try:
        found = [float(part) for part in value.split(",")] if value else []
    except ValueError as reason:
        raise click.BadParameter(f"{value!r} is not numbers with commas between them") from reason
    if not all(map(math.isfinite, found)):
        raise click.BadParameter(f"{value!r} has numbers that are not finite")
    return found


def level_list(context: click.Context, parameter: click.Parameter, value: str | None) -> list[float]:
    """Parse comma-separated compression levels."""
    found = numbers(context, parameter, value)
    if not all(0 <= level <= MAX_QUANTIZER for level in found) or len(set(found)) < len(found):
        raise click.BadParameter(f"{value!r} is not different levels from 0 to {MAX_QUANTIZER}")
    return found
