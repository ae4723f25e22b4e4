"""The command ``vs-srcomp``. Each subcommand is a module here, which imports heavy packages only when it runs."""

import os
import warnings
from importlib import import_module
from typing import Final

import click

from vs_srcomp import __version__
from vs_srcomp.cli.ending import leaving
from vs_srcomp.cli.reports import CONTEXT_SETTINGS, ReportingGroup

__all__ = ["main", "run"]

_COMMANDS: Final = ("upscale", "batch", "compare", "probe", "script", "bench", "models", "engines", "mpv", "doctor")


class _Commands(ReportingGroup):
    """The subcommands, imported on demand: a picture takes less than a second in all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names in alphabetical order."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, prog_name="vs-srcomp")
def main() -> None:
    """Super-resolution for compressed video.

    \b
    vs-srcomp upscale in.mkv out.mkv     upscale a file, and copy everything else in it
    vs-srcomp batch clips --out done     upscale many files; can be stopped and resumed
    vs-srcomp compare a.mkv b.mkv        compare results side by side in an HTML file
    vs-srcomp probe in.mkv               show how strongly a file was compressed
    vs-srcomp script in.mkv              write a script for vspipe, and the command for it
    vs-srcomp bench                      measure the speed of each stage on this machine
    vs-srcomp models                     list the installed networks
    vs-srcomp engines                    list or remove compiled networks
    vs-srcomp mpv install                let mpv upscale what it plays
    vs-srcomp doctor                     find what is missing or broken
    vs-srcomp COMMAND --help             show more about a command
    """
    # SVT-AV1 logs pages to standard error. Its errors are reported without them.
    os.environ.setdefault("SVT_LOG", "0")


def run() -> None:
    """The entry point: run `main` with the arguments of the process, and exit."""
    # What Pillow warns of in metadata, with the places in its own files.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with leaving():
        main(prog_name="vs-srcomp")
