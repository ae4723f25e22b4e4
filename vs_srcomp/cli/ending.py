"""How signals end a command: in order, or at once where code that is not Python's does not give way."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

# Seconds that a command gets to clean up behind itself.
_PATIENCE = 4.0


class Interrupted(BaseException):
    """A signal ended the command; not an `Exception`, so that it comes through to the end."""


@contextmanager
def signals_raise() -> Iterator[None]:
    """The first signal raises `Interrupted` in the main thread; later ones do not disturb the cleaning up.

    Python comes to its handlers only between steps of its own, and a step that waits for one frame of a huge picture
    takes minutes. A thread that hears of the signal at once then removes what is not finished, and ends the process.
    """

    def stop(number: int, _: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    before = [(number, signal.signal(number, stop)) for number in SIGNALS]
    try:
        with _impatience():
            yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def patience() -> Iterator[None]:
    """In this block, commands take the time that they need after a signal."""
    before = signal.set_wakeup_fd(-1)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)


_leaves_at_end = threading.Event()


def leave_at_end() -> None:
    """Let the process `leave` once its command has ended, because it has nothing left to do, nor have libraries.

    To take down VapourSynth and OpenVINO in order takes as long as to read a picture and to make it ready.
    """
    _leaves_at_end.set()


@contextmanager
def leaving() -> Iterator[None]:
    """End the process when the block ends as a program does, if `leave_at_end` has been called."""
    try:
        yield
    except SystemExit as ending:
        if _leaves_at_end.is_set():
            leave(ending.code if isinstance(ending.code, int) else 0)
        raise


def leave(code: int) -> NoReturn:
    """End the process, which has cleaned up: Python would wait for threads and frames that nobody wants any more."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


@contextmanager
def _impatience() -> Iterator[None]:
    """Ends the process if the block goes on for long after a signal."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    ended = threading.Event()

    def watch() -> None:
        # The number of the signal, or 0 at the end of the block.
        (number,) = os.read(read, 1)
        if number and not ended.wait(_PATIENCE):
            _leave_at_once(number)

    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="srcomp signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        os.write(write, b"\0")
        watcher.join()
        for end in (read, write):
            os.close(end)


def stopped(number: int) -> str:
    """The message of a command that a signal has ended."""
    return f"vs-srcomp: stopped by {signal.Signals(number).name}, nothing unfinished is left behind"


def _leave_at_once(number: int) -> NoReturn:
    from vs_srcomp.files import remove_unfinished

    # What was never imported runs no programs.
    if piped := sys.modules.get("vs_srcomp.encoders.pipe"):
        piped.end_programs()
    remove_unfinished()
    # The main thread may hold the lock of the stream.
    with suppress(OSError):
        os.write(2, f"{stopped(number)}\n".encode())
    os._exit(128 + number)
