"""Atomic writing of files, temporary folders, and how errors of the file system and odd names are shown."""

import errno
import fcntl
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from vs_srcomp.errors import SrcompError, error

# Between the target's name and the random characters.
_MARK = ".srcomp-"

# Temporary files and folders that exist now.
_unfinished: set[Path] = set()

_umask_lock = threading.Lock()


def is_of_file_system(number: int | None) -> bool:
    """Whether an ``errno`` is an error of the file system, not of the data."""
    return number in errno.errorcode and number != errno.EINVAL


def cannot_write(file: Path, number: int | None) -> SrcompError:
    """The package's error for an ``errno`` when ``file`` is written."""
    return error(
        f"cannot write {str(file)!r}: {os.strerror(number or 0).lower()}",
        "check the folder, its permissions and the free space",
    )


def cannot_read(path: Path | str, reason: OSError) -> SrcompError:
    """The package's error for ``reason`` when the file or folder ``path`` is read."""
    return error(
        f"{str(path)!r} cannot be read: {os.strerror(reason.errno or 0).lower()}", "check the path and its permissions"
    )


@contextmanager
def atomic_path(target: Path, *, overwrite: bool = True, keep: bool = False) -> Iterator[Path]:
    """A temporary path next to ``target``, which is renamed to it, after fsync, if the block succeeds.

    If the block raises, the temporary file is removed and ``target`` is unchanged. An existing target keeps its
    permissions; if it is a symbolic link, the file that it points to is replaced. Temporary files of earlier processes
    that were killed are removed, too.

    Args:
        target: The file to write.
        overwrite: Whether to replace a ``target`` that exists at the end of the block.
        keep: Whether a file that may not replace it gets the next free name instead, because it was long work.

    Raises:
        OSError: The folder is not writable.
        FileExistsError: ``target`` exists at the end of the block, and neither ``overwrite`` nor ``keep`` is set.
        vs.Error: The file has got another name.
    """
    prefix = _prefix(target)
    real = target.resolve() if target.is_symlink() else target
    _remove_abandoned(real.parent, prefix, target.suffix)
    handle, temporary = _begin(target, real.parent, prefix)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode_of(real))
        if overwrite:
            temporary.replace(real)
        else:
            try:
                rename_without_replacing(temporary, real)
            except FileExistsError:
                if not keep:
                    raise
                raise _kept_beside(target, temporary) from None
    finally:
        temporary.unlink(missing_ok=True)
        _unfinished.discard(temporary)
        os.close(handle)


def _kept_beside(target: Path, temporary: Path) -> SrcompError:
    """Give ``temporary`` the next free name after ``target``, and return the error that says so."""
    for number in count(2):
        other = target.with_stem(f"{target.stem} ({number})")
        with suppress(FileExistsError):
            rename_without_replacing(temporary, other)
            break
    return error(
        f"{str(target)!r} came into being meanwhile, and was not replaced: the output is {str(other)!r}",
        "keep the file that you want",
    )


@contextmanager
def temporary_folder(target: Path, suffix: str) -> Iterator[Path]:
    """A temporary folder next to ``target``, which is removed with its content after the block.

    As with `atomic_path`, those of earlier processes that were killed are removed, too.

    Raises:
        OSError: The folder cannot be created.
    """
    prefix = _prefix(target)
    _remove_abandoned(target.parent, prefix, suffix)
    while True:
        folder = _new_path(target.parent, prefix, suffix)
        try:
            folder.mkdir(0o700)
        except OSError:
            _unfinished.discard(folder)
            raise
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # another process took it for abandoned
            _unfinished.discard(folder)
            continue
        if _locked(handle):
            break
        os.close(handle)
        _unfinished.discard(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _unfinished.discard(folder)
        os.close(handle)


def remove_unfinished() -> None:
    """Remove all temporary files and folders, for a process that is about to exit."""
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
    """Lock a new file until ``handle`` is closed; False if it has been removed.

    Another process may have removed it as abandoned before it was locked.
    """
    with suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX)
    return os.fstat(handle).st_nlink > 0


def _begin(target: Path, folder: Path, prefix: str) -> tuple[int, Path]:
    """A temporary file for ``target`` in ``folder``: its handle, which holds a lock, and its path."""
    while True:
        temporary = _new_path(folder, prefix, target.suffix)
        try:
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as reason:
            _unfinished.discard(temporary)
            # Report the target's name, not the temporary one.
            raise OSError(reason.errno, reason.strerror, str(target)) from reason
        if _locked(handle):
            return handle, temporary
        os.close(handle)
        _unfinished.discard(temporary)


def _new_path(folder: Path, prefix: str, suffix: str) -> Path:
    """A name that is free; it counts as unfinished already, because a signal may raise an exception once it exists."""
    path = folder.absolute() / f"{prefix}{secrets.token_hex(4)}{suffix}"
    _unfinished.add(path)
    return path


def _remove_abandoned(folder: Path, prefix: str, suffix: str) -> None:
    """Remove temporary files of processes that were killed: their locks have ended with them."""
    pattern = re.compile(re.escape(prefix) + "[a-z0-9_]{8}" + re.escape(suffix))
    found: list[Path] = []
    with suppress(OSError):  # failure is harmless
        found = [path for path in folder.iterdir() if pattern.fullmatch(path.name)]
    for path in found:
        with suppress(OSError):  # it is in use or another user's, or the file system has no locks
            _remove_if_unlocked(path)


def _remove_if_unlocked(path: Path) -> None:
    # NFS can lock only files that are open for writing; folders cannot be opened so.
    mode = os.O_RDONLY if path.is_dir() else os.O_RDWR
    handle = os.open(path, mode | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(path)
    finally:
        os.close(handle)


def rename_without_replacing(temporary: Path, target: Path) -> None:
    """Give ``temporary`` the name ``target``; FileExistsError if that exists. The old name may remain, too."""
    # A rename would replace an existing file; a hard link cannot.
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as exFAT
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        temporary.replace(target)


def write_atomically(target: Path, data: bytes) -> None:
    """Write ``data`` to ``target`` atomically: readers see the old file or the new one, never a part."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def mode_of(target: Path) -> int:
    """The permissions of ``target``; those of a new file if it does not exist."""
    try:
        return target.stat().st_mode & 0o777
    except OSError:
        return 0o666 & ~_umask()


def _umask() -> int:
    """The process's mask of permissions.

    It is read from the system where that is possible: to set it, even for a moment, changes what other threads make.
    """
    with suppress(OSError), Path("/proc/self/status").open(encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    with _umask_lock:
        mask = os.umask(0)
        os.umask(mask)
        return mask


def path_text(path: Path) -> str:
    """``path`` as valid text, with escapes for bytes that are not UTF-8."""
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
