"""``vs-srcomp models``: the networks in the package."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vs_srcomp.cli.reports import debug_option, explain, stderr

if TYPE_CHECKING:
    from vs_srcomp.models import Model

# Characters in a line if the output is not a terminal.
_PLAIN_WIDTH = 120


@click.command(short_help="List the installed networks.")
@click.option("--json", "as_json", is_flag=True, help="Print their descriptors as JSON.")
@click.option("--verify", is_flag=True, help="Check the files and their descriptions.")
@debug_option
@click.pass_context
def models(ctx: click.Context, as_json: bool, verify: bool) -> None:
    """List the networks that are installed with vs-srcomp.

    The gain is the mean over a test set, in dB of luma PSNR over Lanczos-5. Q is the range of compression levels of the
    training; "any" means that the network does not take the level.

    --verify checks the SHA-256 of every file, and models.json against its schema if the Python package jsonschema is
    installed. The exit code is 1 if something is wrong.

    \b
    Examples:
      vs-srcomp models
      vs-srcomp models --json
      vs-srcomp models --verify
    """
    import vs_srcomp

    found = vs_srcomp.models()
    if as_json:
        click.echo(json.dumps([asdict(model) for model in found], indent=2))
    elif not verify:
        _print_table(found)
    if verify:
        # Check all of them, to report all errors at once.
        sound = [_follows_schema(), *(_is_sound(model) for model in found)]
        if not all(sound):
            ctx.exit(1)


def _print_table(found: tuple["Model", ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("name", no_wrap=True)
    for word in ("tier", "size"):
        table.add_column(word)
    for numeric in ("Q", "parameters", "kMAC/pixel"):
        table.add_column(numeric, justify="right")
    test_sets = list(dict.fromkeys(test_set for model in found for test_set in model.gain_db))
    for test_set in test_sets:
        table.add_column(f"{test_set}, dB", justify="right")
    for model in found:
        numbers = (
            _levels(model),
            f"{model.parameters:,}",
            f"{model.macs_per_pixel / 1000:.1f}",
        )
        gains = (f"{model.gain_db[name]:+.2f}" if name in model.gain_db else "-" for name in test_sets)
        size = model.ratio or f"{model.scale}x"
        table.add_row(model.name, model.tier or "-", size, *numbers, *gains)
    console = Console()
    (console if console.is_terminal else Console(width=_PLAIN_WIDTH)).print(table)


def _levels(model: "Model") -> str:
    if model.levels is None:
        return "any"
    return " to ".join(f"{level:g}" for level in model.levels)


def _follows_schema() -> bool:
    from importlib.resources import files

    from vs_srcomp.models.catalogue import ENGINES

    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        # Reading the file has checked everything that commands rely on.
        _say("models.json: readable; install jsonschema to check it against its schema")
        return True
    described, schema = (
        json.loads(files(ENGINES).joinpath(name).read_text("utf-8")) for name in ("models.json", "models.schema.json")
    )
    problems = sorted(Draft202012Validator(schema).iter_errors(described), key=lambda problem: problem.json_path)
    for problem in problems:
        _say(f"models.json: {problem.json_path}: {problem.message}")
    if not problems:
        _say("models.json: sound")
    return not problems


def _is_sound(model: "Model") -> bool:
    import vapoursynth as vs

    from vs_srcomp.models import load_network

    try:
        load_network(model)
    except (vs.Error, OSError) as failure:
        _say(f"{model.name}: {explain(failure) if isinstance(failure, vs.Error) else failure}")
        return False
    _say(f"{model.name}: sound")
    return True


def _say(line: str) -> None:
    stderr().print(line, markup=False, highlight=False, soft_wrap=True)
