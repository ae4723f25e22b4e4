"""Errors of FFmpeg's muxers and of the file system, in the package's form."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av import logging

from vs_srcomp.errors import error
from vs_srcomp.files import cannot_write, is_of_file_system
from vs_srcomp.named_files import already_there


@contextmanager
def messages_kept() -> Iterator[None]:
    """In this block, FFmpeg's errors carry its log messages, and nothing is printed.

    For short blocks only: to log, a decoder thread needs the interpreter lock, whose holder may be waiting for it.
    """
    level = logging.get_level()
    if level is None:
        logging.set_level(logging.PANIC)
    try:
        yield
    finally:
        logging.set_level(level)


def muxer_message(failure: av.FFmpegError) -> str:
    """FFmpeg's log message; the name of the error if there is none."""
    message = failure.log[2].strip().rstrip(".") if failure.log else failure.strerror or str(failure)
    message = message.partition(", add '-")[0]  # hints for FFmpeg's command line
    return message[:1].lower() + message[1:]


@contextmanager
def writing(file: Path, todo: str = "try another container or another encoder") -> Iterator[None]:
    """Convert errors of the file system, and of muxers and encoders, into the package's errors about ``file``.

    Args:
        file: The output.
        todo: What to do about an error of a muxer or an encoder.
    """
    try:
        yield
    except FileExistsError:
        raise already_there(file) from None
    except (OSError, av.FFmpegError) as reason:
        if not is_of_file_system(reason.errno):
            raise error(f"cannot write {str(file)!r}: {str(reason).lower()}", todo) from reason
        raise cannot_write(file, reason.errno) from reason
