"""``vs-srcomp doctor``: find what is missing or broken, and how to fix it."""

import json
import sys
from typing import TYPE_CHECKING

import click

from vs_srcomp.cli.reports import debug_option

if TYPE_CHECKING:
    from vs_srcomp.doctor import Finding

_COLOURS = {"fine": "green", "note": "yellow", "broken": "red"}

# Characters in a line if the output is not a terminal.
_PLAIN_WIDTH = 160


@click.command(short_help="Find what is missing or broken.")
@click.option("--fix", is_flag=True, help="Repair what can be: the line for this environment in vapoursynth.toml.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@debug_option
@click.pass_context
def doctor(ctx: click.Context, fix: bool, as_json: bool) -> None:
    """Check Python, VapourSynth and its configuration, vspipe, mpv, the networks and the backends.

    The exit code is 0 if everything works, and 1 if something is broken. Optional parts, such as mpv, may be missing.

    \b
    Examples:
      vs-srcomp doctor
      vs-srcomp doctor --fix
      vs-srcomp doctor --json
    """
    from vs_srcomp.doctor import checks

    found = []
    for check in checks():
        finding = check()
        fixed = fix and finding.fix is not None and _fix(finding)
        found.append((check() if fixed else finding, fixed))
    if as_json:
        click.echo(json.dumps(_report(found), indent=2))
    else:
        _print_table(found)
    if any(finding.state == "broken" for finding, _ in found):
        ctx.exit(1)


def _fix(finding: "Finding") -> bool:
    from vs_srcomp.cli.reports import stderr

    assert finding.fix
    try:
        finding.fix()
    except OSError as reason:
        stderr().print(f"{finding.name} cannot be fixed: {reason}", markup=False, highlight=False, soft_wrap=True)
        return False
    return True


def _report(found: list[tuple["Finding", bool]]) -> dict[str, object]:
    checks = [
        {
            "name": finding.name,
            "state": finding.state,
            "message": finding.message,
            "remedy": finding.remedy,
            "fixed": fixed,
            "fixable": finding.fix is not None,
        }
        for finding, fixed in found
    ]
    return {"ok": all(finding.state != "broken" for finding, _ in found), "checks": checks}


def _print_table(found: list[tuple["Finding", bool]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding, fixed in found:
        message = Text(finding.message)
        if finding.remedy:
            message.append(f"\n{finding.remedy}", style="italic")
        state = "fixed" if fixed and finding.state == "fine" else finding.state
        table.add_row(finding.name, Text(state, style=_COLOURS[finding.state]), message)
    Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH).print(table)
