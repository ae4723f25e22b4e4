"""The command ``vs-srcomp``. Each command is a module here, which imports what is heavy only when it runs."""

import click

from vs_srcomp import __version__
from vs_srcomp.cli.batch import batch
from vs_srcomp.cli.bench import bench
from vs_srcomp.cli.compare import compare
from vs_srcomp.cli.doctor import doctor
from vs_srcomp.cli.engines import engines
from vs_srcomp.cli.models import models
from vs_srcomp.cli.mpv import mpv
from vs_srcomp.cli.probe import probe
from vs_srcomp.cli.reports import CONTEXT_SETTINGS, ReportingGroup
from vs_srcomp.cli.script import script
from vs_srcomp.cli.upscale import upscale

__all__ = ["main"]


@click.group(cls=ReportingGroup, context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, prog_name="vs-srcomp")
def main() -> None:
    """Super-resolution for compressed video.

    \b
    vs-srcomp upscale in.mkv out.mkv     upscale a file, and keep everything else in it
    vs-srcomp batch clips --out done     upscale many files, in any number of attempts
    vs-srcomp compare a.mkv b.mkv        show results beside one another in an HTML file
    vs-srcomp probe in.mkv               show how strongly a file was compressed
    vs-srcomp script in.mkv              write a script for vspipe, and the command for it
    vs-srcomp bench                      measure how fast it is here, and what limits it
    vs-srcomp models                     list the networks that there are
    vs-srcomp engines                    list or remove compiled networks
    vs-srcomp mpv install                let mpv upscale what it plays
    vs-srcomp doctor                     look for what is missing or broken
    vs-srcomp COMMAND --help             show more about a command
    """


for command in (upscale, batch, compare, probe, script, bench, models, engines, mpv, doctor):
    main.add_command(command)
