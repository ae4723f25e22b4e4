"""How signals end a command: with cleanup in Python or, while native code does not return, at once."""

import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

# That of a closed terminal is ignored under ``nohup``.
_IS_IGNORED = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM) if _IS_IGNORED else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Those that end a command."""

# Seconds for the cleanup.
_PATIENCE = 4.0

# Seconds between two looks at whether the cleanup has begun, or is done.
_BETWEEN_LOOKS = 0.1


class Interrupted(BaseException):
    """A signal ended the command. Not an `Exception`, so that no handler catches it."""


@contextmanager
def signals_call(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """In this block, the signals that end a command call ``handler``."""
    before = [(number, signal.signal(number, handler)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, earlier in before:
            signal.signal(number, earlier)


@contextmanager
def signals_raise() -> Iterator[None]:
    """The first signal raises `Interrupted` in the main thread; later ones do not disturb the cleanup.

    Python runs its signal handlers only between bytecodes, and a wait for one frame of a huge picture takes minutes.
    In that case a thread, which gets the signal at once, removes unfinished files and ends the process.

    If the handler runs while native code frees an object, in a callback of a weak reference for example, that code
    drops what it raises. The thread then sends the signal again.
    """
    raised = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        if not raised.is_set():
            raised.set()
            # Without a local variable, which the traceback would keep.
            raise _with_finalizer(Interrupted(number), raised.clear)

    with signals_call(stop), _impatience(raised):
        yield


def _with_finalizer(exception: Interrupted, finalizer: Callable[[], None]) -> Interrupted:
    weakref.finalize(exception, finalizer).atexit = False
    return exception


@contextmanager
def patience() -> Iterator[None]:
    """In this block, the cleanup after a signal may take any time."""
    before = signal.set_wakeup_fd(-1)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)


_leaves_at_end = threading.Event()


def leave_at_end() -> None:
    """Let the process end with `leave` after its command, without the interpreter's own shutdown.

    An orderly shutdown of VapourSynth and OpenVINO takes as long as reading and preparing a picture.
    """
    _leaves_at_end.set()


@contextmanager
def leaving() -> Iterator[None]:
    """End the process with `leave` when the block exits, if `leave_at_end` has been called."""
    try:
        yield
    except SystemExit as ending:
        if _leaves_at_end.is_set():
            leave(ending.code if isinstance(ending.code, int) else 0)
        raise


def leave(code: int) -> NoReturn:
    """End the process after its cleanup, without waiting for threads and frames that are no longer needed."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


@contextmanager
def _impatience(raised: threading.Event) -> Iterator[None]:
    """End the process if the block does not end soon after a signal.

    Args:
        raised: Whether the exception for the signal exists. The signal is sent again until it does.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    ended = threading.Event()
    main = threading.get_ident()

    def watch() -> None:
        # Signal number, or 0 at the end of the block.
        (number,) = os.read(read, 1)
        if not number:
            return
        deadline = time.monotonic() + _PATIENCE
        while not ended.wait(_BETWEEN_LOOKS):
            if time.monotonic() > deadline:
                leave_at_once(number)
            if not raised.is_set():
                signal.pthread_kill(main, number)

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


_can_go_on = threading.Event()


def can_go_on() -> None:
    """Let the message after a signal say that the same command goes on with the work."""
    _can_go_on.set()


def stopped_by(number: int) -> str:
    """The message of a command that the signal ``number`` has ended."""
    what = "; the same command goes on with it" if _can_go_on.is_set() else ", nothing unfinished is left behind"
    return f"vs-srcomp: stopped by {signal.Signals(number).name}{what}"


def leave_at_once(number: int) -> NoReturn:
    """End the process after the signal ``number``; unfinished files and programs go."""
    from vs_srcomp.files import remove_unfinished

    # If the module was never imported, no program is running.
    if piped := sys.modules.get("vs_srcomp.encoders.pipe"):
        piped.end_programs()
    remove_unfinished()
    # The main thread may hold the lock of the stream.
    with suppress(OSError):
        os.write(2, f"{stopped_by(number)}\n".encode())
    os._exit(128 + number)
