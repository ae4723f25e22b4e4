"""Compiled networks on disk, for backends that take minutes to build one.

File names contain a digest of everything that an engine depends on. An unusable file is replaced. If nothing can be
stored, each process builds its own engine.
"""

import hashlib
import json
import os
import re
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from vs_srcomp.backends.base import Engine, PlaneFormat, StoringBackend
from vs_srcomp.backends.tiling import is_out_of_memory
from vs_srcomp.errors import last_line
from vs_srcomp.files import write_atomically
from vs_srcomp.log import log_info, log_once
from vs_srcomp.models.network import Network

VARIABLE = "SRCOMP_CACHE_DIR"
"""Environment variable with the folder of stored engines; the default is the user's cache."""

_DIGITS = 16
_FILE = re.compile(rf".+-[0-9a-f]{{{_DIGITS}}}\.(engine|lock)")


def engines_folder() -> Path:
    """The folder of stored engines, which may not exist.

    Raises:
        OSError: The user has no home folder.
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).absolute() / "engines"
    import platformdirs

    try:
        return platformdirs.user_cache_path("vs-srcomp", appauthor=False) / "engines"
    except RuntimeError as reason:  # no home folder
        raise OSError(str(reason)) from reason


def stored_files() -> list[Path]:
    """All files of stored engines and their locks, by name.

    Raises:
        OSError: The folder cannot be read.
    """
    try:
        return sorted(path for path in engines_folder().iterdir() if _FILE.fullmatch(path.name) and path.is_file())
    except FileNotFoundError:
        return []


@dataclass(frozen=True)
class EngineFiles:
    """A backend whose engines are taken from disk."""

    backend: StoringBackend

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        """The engine from its file, or built and stored. Of several processes, one builds it and the others wait."""
        name = _file_name(network, self.backend, plane)
        try:
            path = engines_folder() / name
        except OSError as reason:
            _say_not_stored(reason)
            return self.backend.compile(network, plane)
        # Without a lock first: usually the file exists, and the folder may be read-only.
        return self._load(path, plane) or self._build(path, network, plane)

    def _build(self, path: Path, network: Network, plane: PlaneFormat) -> Engine:
        from filelock import FileLock

        with ExitStack() as held:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                held.enter_context(FileLock(path.with_suffix(".lock")))
            except OSError as reason:
                _say_not_stored(reason)
                return self.backend.compile(network, plane)
            # Another process may have built it in the meantime.
            if engine := self._load(path, plane):
                return engine
            built = self.backend.build(network, plane)
            engine = self.backend.load(built, plane)
            try:
                write_atomically(path, built)
            except OSError as reason:
                _say_not_stored(reason)
            return engine

    def _load(self, path: Path, plane: PlaneFormat) -> Engine | None:
        try:
            built = path.read_bytes()
        except OSError:
            return None
        try:
            return self.backend.load(built, plane)
        except Exception as reason:  # Libraries raise anything for a damaged file.
            if is_out_of_memory(reason):
                raise
            log_info(f"{path} cannot be used and is replaced: {last_line(reason)}")
            with suppress(OSError):  # It may be gone, or the folder read only.
                path.unlink()
            return None


def _file_name(network: Network, backend: StoringBackend, plane: PlaneFormat) -> str:
    """A readable name, with a digest of everything that the engine depends on."""
    from vs_srcomp import __version__

    kind = type(backend).__name__
    key = [__version__, network.sha256, network.stride, kind, dict(backend.identity()), asdict(plane)]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    title = (network.name or network.sha256[:_DIGITS]).replace(" ", "-")
    return f"{kind}-{title}-{plane.width}x{plane.height}-{plane.bits}bit-{digest}.engine"


def _say_not_stored(reason: OSError) -> None:
    # Without the file's name, which may change, so that it is logged once.
    log_once(
        f"compiled networks cannot be stored: {reason.strerror or reason}; each process builds its own. "
        f"Set {VARIABLE} to a folder that can be written to"
    )
