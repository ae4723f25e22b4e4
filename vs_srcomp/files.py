"""Files that are whole or not there at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A temporary path beside ``target`` to write to; renamed to it, after fsync, if the block succeeds.

    If the block raises, the temporary file is removed and ``target`` is as it was.

    Raises:
        FileExistsError: ``overwrite`` is false and there is a target by the time the file is whole.
    """
    handle, name = tempfile.mkstemp(prefix=f".{target.stem[:40]}.", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        if overwrite:
            temporary.replace(target)
        else:
            rename_without_replacing(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def rename_without_replacing(temporary: Path, target: Path) -> None:
    """Give ``temporary`` the name ``target``; FileExistsError if that is there by now."""
    # A rename would replace what has come in the meantime; a second name for the file cannot.
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as exFAT
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        temporary.replace(target)


def write_atomically(target: Path, data: bytes) -> None:
    """Write ``data`` to ``target`` in one step: readers see the old file or the new one, never a part."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
