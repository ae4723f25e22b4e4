"""Files that are whole or not there at all, and folders that do not stay."""

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vs_srcomp.errors import SrcompError, error

# Between the target's name and the random letters of `tempfile`.
_MARK = ".srcomp-"

# What is there now and is not to stay.
_unfinished: set[Path] = set()


def is_of_file_system(number: int | None) -> bool:
    """Whether the error of that number (``errno``) is one of the disk or a permission, not of what is written."""
    return number in errno.errorcode and number != errno.EINVAL


def cannot_write(file: Path, number: int | None) -> SrcompError:
    """The error of a file system that fails with that number to write ``file``."""
    return error(
        f"cannot write {str(file)!r}: {os.strerror(number or 0).lower()}",
        "check the folder, its permissions and the free space",
    )


@contextmanager
def atomic_path(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A temporary path beside ``target`` to write to; renamed to it, after fsync, if the block succeeds.

    If the block raises, the temporary file is removed and ``target`` is as it was. What earlier runs have left, because
    they were killed, is removed as well.

    Raises:
        OSError: The folder cannot be written to.
        FileExistsError: ``overwrite`` is false and there is a target by the time the file is whole.
    """
    prefix = _prefix(target)
    _remove_abandoned(target.parent, prefix, target.suffix)
    handle, temporary = _begin(target, prefix)
    _unfinished.add(temporary)
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
        _unfinished.discard(temporary)
        os.close(handle)


@contextmanager
def temporary_folder(target: Path, suffix: str) -> Iterator[Path]:
    """A folder beside ``target`` for what is needed while that is made; removed with all that is in it after the block.

    As of `atomic_path`, what earlier runs have left is removed as well.

    Raises:
        OSError: The folder cannot be made.
    """
    prefix = _prefix(target)
    _remove_abandoned(target.parent, prefix, suffix)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=target.parent))
        handle = os.open(folder, os.O_RDONLY)
        if _locked(handle):
            break
        os.close(handle)
    _unfinished.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _unfinished.discard(folder)
        os.close(handle)


def remove_unfinished() -> None:
    """Remove what is not to stay, for a process that is about to end without cleaning up."""
    for path in list(_unfinished):
        _remove(path)


def _prefix(target: Path) -> str:
    return f".{target.stem[:40]}{_MARK}"


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _locked(handle: int) -> bool:
    """Whether what has just been made is locked, for as long as ``handle`` is open, and still there.

    Another run may have taken it for abandoned before it was locked, and is then just removing it.
    """
    with suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX)
    return os.fstat(handle).st_nlink > 0


def _begin(target: Path, prefix: str) -> tuple[int, Path]:
    """A temporary file, locked for as long as its handle is open, and its path."""
    while True:
        try:
            handle, name = tempfile.mkstemp(prefix=prefix, suffix=target.suffix, dir=target.parent)
        except OSError as reason:
            # The temporary name would mean nothing to users.
            raise OSError(reason.errno, reason.strerror, str(target)) from reason
        if _locked(handle):
            return handle, Path(name)
        os.close(handle)


def _remove_abandoned(folder: Path, prefix: str, suffix: str) -> None:
    """Remove what runs have left that ended without doing so: the lock of a run ends with its process."""
    pattern = re.compile(re.escape(prefix) + "[a-z0-9_]{8}" + re.escape(suffix))
    # The run does not depend on it.
    with suppress(OSError):
        for path in [path for path in folder.iterdir() if pattern.fullmatch(path.name)]:
            # NFS locks no file that is not open for writing; folders cannot be.
            mode = os.O_RDONLY if path.is_dir() else os.O_RDWR
            handle = os.open(path, mode | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            except OSError:  # a run is at work on it, or the file system has no locks
                continue
            finally:
                os.close(handle)


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


def path_text(path: Path) -> str:
    """``path`` as text, even if its bytes are none."""
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
