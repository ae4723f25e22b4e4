"""The folder of compiled engines: where it is, what lies there, and who may write."""

import os
import re
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from vs_srcomp.engine_file import Header, UnusableFileError, is_engine_file, read_header
from vs_srcomp.log import say

VARIABLE = "SRCOMP_CACHE_DIR"
"""The environment variable with the folder for what is kept between runs, instead of the user's cache."""

NAME_LENGTH = 32
"""Of a file's name without its ending: hexadecimal digits, of the 64 of the digest of what the engine depends on."""

_UNFINISHED = re.compile(rf"\.([0-9a-f]{{{NAME_LENGTH}}})\..+\.engine")
_LOCK = re.compile(rf"[0-9a-f]{{{NAME_LENGTH}}}\.lock")
_TIMINGS = re.compile(rf"[0-9a-f]{{{NAME_LENGTH}}}\.timing")


def engines_folder() -> Path:
    """Where engines are stored; it need not be there yet.

    Raises:
        OSError: The user has no folder for such files.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).absolute() / "engines"
    import platformdirs

    try:
        folder = platformdirs.user_cache_path("vs-srcomp", appauthor=False)
    except RuntimeError as reason:
        raise OSError(str(reason)) from reason
    if not folder.is_absolute():  # what platformdirs gave for a user without a home before it refused
        raise OSError("the user has no home folder")
    return folder / "engines"


def lock_for(path: Path) -> AbstractContextManager[object]:
    """The lock for making the file ``path``, held until the block ends; the system releases it if the process dies."""
    # Heavy, and not needed where the file is there.
    from filelock import FileLock, Timeout

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(_lock_path(path))
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        say("another process is preparing the same network: waiting for it")
        return lock.acquire()


@dataclass(frozen=True, kw_only=True)
class StoredEngine:
    """A file of an engine, sound or not."""

    path: Path
    bytes: int
    """Size of the file."""
    used: float
    """When it was made or last loaded, in seconds since 1970."""
    header: Header | None
    """What the file says of its engine; None where it cannot be used."""
    problem: str | None
    """Why it cannot be used, so far as that can be seen without reading all of it."""

    @property
    def finished(self) -> bool:
        """Whether it is whole, not the beginning of a file that is being written or was when the power failed."""
        return _UNFINISHED.fullmatch(self.path.name) is None


def stored_engines() -> list[StoredEngine]:
    """All files of engines, the one used last first.

    Raises:
        OSError: The folder cannot be read.
    """
    try:
        paths = [path for path in engines_folder().iterdir() if path.suffix == ".engine"]
    except FileNotFoundError:
        return []
    found = [_stored(path) for path in paths if is_engine_file(path)]
    return sorted((engine for engine in found if engine is not None), key=lambda engine: -engine.used)


def remove(engine: StoredEngine) -> bool:
    """Remove a file, unless a process is just making it or has used it since it was looked at; whether it is gone.

    Raises:
        OSError: It cannot be removed.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(_lock_path(engine.path))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    try:
        if not is_engine_file(engine.path) or engine.path.stat().st_mtime != engine.used:
            return not engine.path.exists()
        engine.path.unlink()
        # While it is held: who waits for it sees that it is gone, and makes a new one.
        Path(lock.lock_file).unlink()
        return True
    finally:
        lock.release()


def remove_idle_locks() -> None:
    """Remove the locks of engines that are not there, such as those of networks that could not be compiled."""
    from filelock import FileLock, Timeout

    for path in engines_folder().glob("*.lock"):
        if not _LOCK.fullmatch(path.name) or path.with_suffix(".engine").exists() or path.stat().st_size:
            continue
        with suppress(Timeout, OSError), FileLock(path).acquire(blocking=False):
            path.unlink()


def remove_timings() -> None:
    """Remove what TensorRT measured for earlier engines; see `backends.tensorrt.timing_cache`."""
    for path in engines_folder().glob("*.timing"):
        if _TIMINGS.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()


def _lock_path(path: Path) -> Path:
    unfinished = _UNFINISHED.fullmatch(path.name)
    return path.with_name(f"{unfinished[1] if unfinished else path.stem}.lock")


def _stored(path: Path) -> StoredEngine | None:
    """What is known of the file; None if it has just been removed."""
    try:
        facts = path.stat()
        header, problem = read_header(path), None
    except FileNotFoundError:
        return None
    except (UnusableFileError, OSError) as reason:
        header, problem = None, str(reason)
    return StoredEngine(path=path, bytes=facts.st_size, used=facts.st_mtime, header=header, problem=problem)
