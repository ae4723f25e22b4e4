"""Errors of FFmpeg's muxers and of the file system, as the package reports them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av import logging

from vs_srcomp.errors import error
from vs_srcomp.files import cannot_write, is_of_file_system


@contextmanager
def messages_kept() -> Iterator[None]:
    """While the block runs, FFmpeg's errors carry its log messages; nothing is printed.

    For short blocks only: to log, a thread of a decoder needs the interpreter, whose holder may wait for the thread.
    """
    level = logging.get_level()
    if level is None:
        logging.set_level(logging.PANIC)
    try:
        yield
    finally:
        logging.set_level(level)


def message_of(failure: av.FFmpegError) -> str:
    """What is wrong: FFmpeg's message, if it has logged any, or else the name of the error."""
    message = failure.log[2].strip().rstrip(".") if failure.log else failure.strerror or str(failure)
    message = message.partition(", add '-")[0]  # advice for FFmpeg's own command line
    return message[:1].lower() + message[1:]


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Turn errors of the file system and of muxers into the package's own, about ``file``."""
    try:
        yield
    except (OSError, av.FFmpegError) as reason:
        if not is_of_file_system(reason.errno):
            raise error(
                f"cannot write {str(file)!r}: {str(reason).lower()}", "try another container or another encoder"
            ) from reason
        raise cannot_write(file, reason.errno) from reason
