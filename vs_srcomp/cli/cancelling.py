"""Work that a signal ends in order: what is finished stays, and the same command goes on with the rest."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

import click

from vs_srcomp.cli.ending import can_go_on, signals_call, stopped_by
from vs_srcomp.cli.reports import print_line


class _Came(Protocol):
    def __call__(self, number: int, *, again: bool) -> None: ...


class Stopped:
    """Whether a signal has come, and which."""

    def __init__(self) -> None:
        self.event = threading.Event()
        """Set by the first one."""
        self.number = 0
        """Number of the first one; 0 for none."""


@contextmanager
def cancelling(came: _Came | None = None) -> Iterator[Stopped]:
    """The first signal asks the work to end; later ones do not disturb the cleaning up.

    ``came`` is called with each of them, and whether there was one before it.
    """
    can_go_on()
    stopped = Stopped()

    def stop(number: int, _: FrameType | None) -> None:
        again = stopped.event.is_set()
        stopped.number = stopped.number or number
        stopped.event.set()
        if came:
            came(number, again=again)

    with signals_call(stop):
        yield stopped


def end(stopped: Stopped, complete: bool) -> None:
    """End the command: with 128 and the signal's number, with 1 if the work is not ``complete``, or by returning."""
    if stopped.number:
        print_line(stopped_by(stopped.number))
        raise click.exceptions.Exit(128 + stopped.number)
    if not complete:
        raise click.exceptions.Exit(1)
