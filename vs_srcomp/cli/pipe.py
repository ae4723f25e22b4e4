"""The options of commands that can encode with another program."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import click

from vs_srcomp.cli.arguments import in_one_argument, usage_errors
from vs_srcomp.cli.given import is_given

if TYPE_CHECKING:
    from vs_srcomp.transcode import Job


@dataclass(frozen=True, kw_only=True)
class PipeOptions:
    """Values of `pipe_options`."""

    pipe: str | None
    pipe_format: Literal["y4m", "raw"]

    def apply(self, job: "Job") -> "Job":
        """``job`` with the pipe, if there is one."""
        return replace(job, pipe=self.pipe, pipe_format=self.pipe_format) if self.pipe is not None else job

    def check(self) -> None:
        """Raise a usage error if the command cannot be run, or if options for encoders are given, too."""
        if self.pipe is None:
            if is_given("pipe_format"):
                raise click.UsageError("--pipe-format goes with --pipe.")
            return
        from vs_srcomp.transcode.job import OF_ENCODERS

        given = [name for name in OF_ENCODERS if is_given(name)]
        if given:
            names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
            raise click.UsageError(f"--pipe and {names} exclude each other: settings go into the command.")
        from vs_srcomp.encoders.pipe_command import PipeCommand

        with usage_errors():
            PipeCommand.parse(self.pipe).path  # noqa: B018  # which fails if there is no such program


def pipe_options[F: Callable[..., Any]](command: F) -> F:
    """Add the options for an encoding program. The command gets them, checked, as one argument ``piping``."""
    return in_one_argument("piping", PipeOptions, _OPTIONS)(command)


_OPTIONS = (
    click.option(
        "--pipe",
        metavar="COMMAND",
        help="Encode with another program that reads frames from standard input and writes to {out}, such as "
        "'SvtAv1EncApp -i stdin -b {out}.ivf'. No shell is involved.",
    ),
    click.option(
        "--pipe-format",
        type=click.Choice(["y4m", "raw"]),
        default="y4m",
        show_default=True,
        help="Format of the frames for the program: with headers, or samples alone.",
    ),
)
