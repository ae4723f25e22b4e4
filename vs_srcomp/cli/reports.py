"""Messages of the commands on standard error: errors, progress, and the core's log."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from vs_srcomp.cli.ending import Interrupted, leave, signals_raise, stopped_by

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_DEBUG = "vs_srcomp.debug"

# Names of types in click's messages.
_KINDS = {
    "a valid integer range": "a whole number",
    "a valid integer": "a whole number",
    "a valid float range": "a number",
    "a valid float": "a number",
}


class HintingGroup(click.Group):
    """A group whose usage errors always name the command; click loses it in some of them."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except click.UsageError as wrong:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            if wrong.ctx is None and command:
                wrong.ctx = click.Context(command, info_name=ctx.invoked_subcommand, parent=ctx)
            raise


class ReportingGroup(HintingGroup):
    """A group whose commands report failures in one or two lines on standard error: what is wrong, and what to do.

    Exit codes: 1 for errors, 2 for a wrong command line, 128 plus the signal's number after one of
    `ending.SIGNALS`.
    """

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the program; click's errors get the same form as others."""
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]
        try:
            code = super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]
        except click.exceptions.NoArgsIsHelpError as wrong:
            wrong.show()
            sys.exit(wrong.exit_code)
        except click.ClickException as wrong:
            _report(_usage(wrong) if isinstance(wrong, click.UsageError) else wrong.format_message())
            sys.exit(wrong.exit_code)
        except click.Abort:
            sys.exit(1)
        except OSError as failure:  # of --help and --version, which are printed while arguments are read
            _report(explain(failure))
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with signals_raise():
                return super().invoke(ctx)
        except Interrupted as interruption:
            (number,) = interruption.args
            from vs_srcomp.files import remove_unfinished

            remove_unfinished()  # it may have come in the middle of a cleanup
            print_line(stopped_by(number))
            leave(128 + number)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as failure:
            if ctx.meta.get(_DEBUG):
                raise
            if isinstance(failure, BrokenPipeError) and drops_output_nobody_reads():
                ctx.exit(1)  # as click and rich do
            _report(explain(failure))
            ctx.exit(1)


def drops_output_nobody_reads() -> bool:
    """Drop what is left to print if standard output is a pipe closed at its other end, as by ``| head``; else False."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    is_closed = any(event & select.POLLERR for _, event in poll.poll(0))
    if is_closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return is_closed


def _report(message: str) -> None:
    print_line(f"vs-srcomp: error: {message}")


def _usage(wrong: click.UsageError) -> str:
    """The error of a wrong command line, and a hint to its help."""
    message = wrong.format_message().rstrip(".")
    if message[1:2].islower():
        message = message[0].lower() + message[1:]
    for theirs, ours in _KINDS.items():
        message = message.replace(f"is not {theirs}", f"is not {ours}")
    command = wrong.ctx.command_path if wrong.ctx else "vs-srcomp"
    return message if "\n" in message else f"{message}\n{command} --help lists what there is"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 frame``, ``2 frames``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def debug_option[F](command: F) -> F:
    """Add the option ``--debug``, which every command has."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.meta[_DEBUG] = value

    option = click.option(
        "--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )
    return option(command)  # type: ignore[type-var]


@cache
def stderr() -> "Console":
    """Standard error. Lines that are printed through it do not disturb a progress bar."""
    from rich.console import Console

    return Console(stderr=True)


def progress_bar(*columns: "str | ProgressColumn") -> "Progress":
    """A progress bar on standard error, if that is a terminal; it disappears at the end.

    Args:
        columns: Columns of the bar; rich's defaults if there are none.
    """
    from rich.progress import Progress

    console = stderr()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def counting_bar(unit: str) -> "Progress":
    """A progress bar with a name, a count, ``unit`` and the remaining time.

    Args:
        unit: A text in rich's format, with fields of the task: ``"{task.fields[fps]:.1f} fps"``.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    name = TextColumn("{task.description}", markup=False)
    return progress_bar(name, BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())


def print_line(line: str) -> None:
    """Print a line on standard error as it is; if nothing can be written there, the work goes on without."""
    with suppress(OSError):
        if stderr.cache_info().currsize:
            # A progress bar may be active.
            stderr().print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(line, err=True)  # rich takes a while to load


def explain(failure: Exception) -> str:
    """An exception in one or two lines: what is wrong, and what to do."""
    import vapoursynth as vs

    from vs_srcomp.errors import message_of

    if isinstance(failure, vs.Error):
        return message_of(failure)
    if isinstance(failure, OSError) and failure.strerror:
        names = " to ".join(repr(os.fsdecode(name)) for name in (failure.filename, failure.filename2) if name)
        names = names or "a file or standard output"
        return f"{names}: {failure.strerror.lower()}\ncheck the path, its permissions and the free space"
    if isinstance(failure, MemoryError):
        return "there is not enough memory\ngive a smaller size, or close other programs"
    return f"{type(failure).__name__}: {failure}\nthis is a bug in vs-srcomp; --debug shows the traceback"


@contextmanager
def core_log_on_stderr() -> Iterator[None]:
    """Print the core's log: messages of this package, and warnings of others."""
    import vapoursynth as vs

    from vs_srcomp.errors import PREFIX

    quiet = (vs.MESSAGE_TYPE_DEBUG, vs.MESSAGE_TYPE_INFORMATION)

    def show(kind: vs.MessageType, message: str) -> None:
        ours = message.startswith(PREFIX)
        if ours or kind not in quiet:
            print_line(message.removeprefix(PREFIX))

    handle = vs.core.add_log_handler(show)
    try:
        yield
    finally:
        vs.core.remove_log_handler(handle)
