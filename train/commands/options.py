"""Options that commands of ``python -m train`` share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

type Command = Callable[..., Any]

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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


def data_and_work[F: Callable[..., Any]](data: str, work: str) -> Callable[[F], F]:
    """The options ``--data`` and ``--work``, with the help texts ``data`` and ``work``."""
    folder = click.Path(file_okay=False, path_type=Path)

    def decorate(command: F) -> F:
        command = click.option("--work", type=folder, default=Path("work"), show_default=True, help=work)(command)
        return click.option("--data", type=FOLDER, default=Path("../shared/data"), show_default=True, help=data)(
            command
        )

    return decorate


def test_sets[F: Callable[..., Any]](command: F) -> F:
    """The options of commands that measure models on test sets: folders, work, tiers and slugs of pairs."""
    options = (
        click.option(
            "--images", "folders", multiple=True, type=FOLDER, required=True, help="Test set; never training pictures."
        ),
        click.option("--work", type=click.Path(path_type=Path), default=Path("work"), help="Folder for coded streams."),
        click.option("--tier", "tiers", multiple=True, default=("fast",), show_default=True, help="Models to measure."),
        click.option(
            "--pair",
            "slugs",
            multiple=True,
            help="A ratio and a level, as in 2by1-q40; may be repeated [default: twelve].",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[float]:
    """Parse comma-separated numbers."""
    try:
        return [float(part) for part in value.split(",")] if value else []
    except ValueError as reason:
        raise click.BadParameter(f"{value!r} is not numbers with commas between them") from reason
