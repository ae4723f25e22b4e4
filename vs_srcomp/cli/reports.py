"""What the commands say: errors, notes from the core's log, and how signals end a command."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_DEBUG = "vs_srcomp.debug"

_SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Interrupted(BaseException):
    """A signal asks the command to end; not an `Exception`, so that it comes through to the end."""


class ReportingGroup(click.Group):
    """A group whose commands end in one or two lines on standard error if they fail.

    Exit codes: 1 for errors, 2 for wrong usage, 128 and the signal's number after SIGINT and SIGTERM.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with _signals_raise():
                return super().invoke(ctx)
        except Interrupted as interruption:
            (number,) = interruption.args
            stderr().print(f"vs-srcomp: stopped by {signal.Signals(number).name}, nothing is left behind")
            ctx.exit(128 + number)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as failure:
            if ctx.meta.get(_DEBUG):
                raise
            stderr().print(f"vs-srcomp: error: {explain(failure)}", markup=False, highlight=False, soft_wrap=True)
            ctx.exit(1)


def debug_option[F](command: F) -> F:
    """The option ``--debug``, which every command has."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.meta[_DEBUG] = value

    option = click.option(
        "--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )
    return option(command)  # type: ignore[type-var]


@cache
def stderr() -> "Console":
    """Standard error; lines that are printed here do not disturb a progress bar."""
    from rich.console import Console

    return Console(stderr=True)


def say(line: str) -> None:
    """Print a line on standard error as it is."""
    stderr().print(line, markup=False, highlight=False, soft_wrap=True)


def explain(failure: Exception) -> str:
    """What went wrong and what to do, in one or two lines."""
    import vapoursynth as vs

    if isinstance(failure, vs.Error):
        # The core puts the traceback of a frame callback before the message.
        return str(failure).rpartition("srcomp: ")[2].strip()
    return f"{type(failure).__name__}: {failure}\nthis should not happen: please report it with what --debug shows"


@contextmanager
def core_log_on_stderr() -> Iterator[None]:
    """Show this package's messages, and warnings of all others, in the core's log."""
    import vapoursynth as vs

    quiet = (vs.MESSAGE_TYPE_DEBUG, vs.MESSAGE_TYPE_INFORMATION)

    def show(kind: vs.MessageType, message: str) -> None:
        ours = message.startswith("srcomp: ")
        if ours or kind not in quiet:
            stderr().print(message.removeprefix("srcomp: "), markup=False, highlight=False, soft_wrap=True)

    handle = vs.core.add_log_handler(show)
    try:
        yield
    finally:
        vs.core.remove_log_handler(handle)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """The first signal raises `Interrupted` in the main thread; later ones do not disturb the cleaning up."""

    def stop(number: int, _: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    before = [(number, signal.signal(number, stop)) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
