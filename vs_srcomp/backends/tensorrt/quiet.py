"""Libraries that print, kept from standard output, which belongs to the video."""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what is written to standard output in this block, by code in any language, to standard error.

    The descriptor belongs to the whole process. Frames are made in other threads than the main one, while the host may
    be writing video: there, nothing is redirected, because a line too much is a lesser evil than a frame too few.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _flush()
    try:
        saved = os.dup(1)
    except OSError:  # There is none.
        yield
        return
    try:
        os.dup2(2, 1)
    except OSError:
        os.close(saved)
        yield
        return
    try:
        yield
    finally:
        # What lies in buffers was printed in the block.
        _flush()
        os.dup2(saved, 1)
        os.close(saved)


def _flush() -> None:
    """Empty the buffers of Python and of the C library, which are filled in the order of printing."""
    if sys.stdout is not None:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)
