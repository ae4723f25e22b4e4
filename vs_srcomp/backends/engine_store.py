"""One engine for each network, backend and plane format: in this process, and on disk where building one takes minutes.

mpv loads the script again at every seek, so engines must outlive nodes. On disk, the name of a file has a digest of all
that its engine depends on. A file that cannot be used is replaced; where nothing can be stored, each process builds its
own.
"""

import hashlib
import json
import os
import re
import threading
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from vs_srcomp.backends.base import BackendConfig, Engine, PlaneFormat, StoringBackend
from vs_srcomp.backends.tiling import compile_fitting, is_out_of_memory
from vs_srcomp.errors import last_line
from vs_srcomp.files import write_atomically
from vs_srcomp.log import say, say_once
from vs_srcomp.models.network import Network

VARIABLE = "SRCOMP_CACHE_DIR"
"""The environment variable with the folder for what is kept between runs, instead of the user's cache."""

# A few clips at a few levels, for a player window that was resized a few times.
MAX_ENGINES = 16

MAX_LEVELS = 4
"""Of one network, which a long film can ask for at dozens of levels. An engine holds what its network computes between
its layers: 145 MB for ``fast`` at 1920x1080, and takes about a tenth of a second to make again."""

_DIGITS = 16
_FILE = re.compile(rf".+-[0-9a-f]{{{_DIGITS}}}\.(engine|lock)")

type _Key = tuple[Network, BackendConfig, PlaneFormat]

_engines: OrderedDict[_Key, Engine] = OrderedDict()
_turns: WeakValueDictionary[_Key, threading.Lock] = WeakValueDictionary()
_lock = threading.Lock()


def get_engine(network: Network, backend: BackendConfig, plane: PlaneFormat) -> Engine:
    """The engine for ``network`` on planes of one format; made ready at the first request.

    Threads that ask for the same engine get the same one, which one of them makes; if that fails, the next one tries.

    Raises:
        vs.Error: The library is missing, or cannot run the network.
    """
    key = (network, backend, plane)
    with _lock:
        engine = _engine(key)
        if engine is not None:
            return engine
        turn = _turns.setdefault(key, threading.Lock())
    with turn:
        with _lock:
            engine = _engine(key)
        if engine is None:
            engine = prepare(network, backend, plane)
            with _lock:
                _engines[key] = engine
                _drop_oldest(key)
        return engine


def is_kept(network: Network, backend: BackendConfig, plane: PlaneFormat) -> bool:
    """Whether `get_engine` has such an engine."""
    with _lock:
        return (network, backend, plane) in _engines


def prepare(network: Network, backend: BackendConfig, plane: PlaneFormat) -> Engine:
    """A new engine, in tiles where the backend or its device's memory asks for them, from disk where it is stored.

    Raises:
        vs.Error: The library is missing, or cannot run the network.
    """
    compiler = _Store(backend) if isinstance(backend, StoringBackend) else backend
    return compile_fitting(compiler, network, plane, backend.tile)


def _drop_oldest(key: _Key) -> None:
    """Keep to what may be kept, now that there is an engine for ``key``."""
    network, *others = key
    if network.made_from is not None:
        levels = [each for each in _engines if each[0].made_from == network.made_from and [*each[1:]] == others]
        for each in levels[:-MAX_LEVELS]:
            del _engines[each]
    if len(_engines) > MAX_ENGINES:
        _engines.popitem(last=False)


def _engine(key: _Key) -> Engine | None:
    if key not in _engines:
        return None
    _engines.move_to_end(key)
    return _engines[key]


def engines_folder() -> Path:
    """Where engines are stored; it need not exist.

    Raises:
        OSError: The user has no folder for such files.
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
    folder = engines_folder()
    return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name)) if folder.is_dir() else []


@dataclass(frozen=True)
class _Store:
    """A backend whose engines are taken from disk."""

    backend: StoringBackend

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        """The engine from its file, or built and stored; of several processes that ask for it, one builds it."""
        name = _file_name(network, self.backend, plane)
        try:
            path = engines_folder() / name
        except OSError as reason:
            _say_not_stored(reason)
            return self.backend.compile(network, plane)
        # Mostly the file is there: then nothing is locked, and the folder may be read-only.
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
        except Exception as reason:  # Whatever the library raises for a damaged file.
            if is_out_of_memory(reason):
                raise
            say(f"{path} cannot be used and is replaced: {last_line(reason)}")
            path.unlink(missing_ok=True)
            return None


def _file_name(network: Network, backend: StoringBackend, plane: PlaneFormat) -> str:
    """For people, with a digest of all that an engine depends on."""
    from vs_srcomp import __version__

    kind = type(backend).__name__
    key = [__version__, network.sha256, network.stride, kind, dict(backend.identity()), asdict(plane)]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    title = (network.name or network.sha256[:_DIGITS]).replace(" ", "-")
    return f"{kind}-{title}-{plane.width}x{plane.height}-{plane.bits}bit-{digest}.engine"


def _say_not_stored(reason: OSError) -> None:
    # Without the name of the file, which may be another each time.
    say_once(
        f"compiled networks cannot be stored: {reason.strerror or reason}; each process builds its own. "
        f"Set {VARIABLE} to a folder that can be written to"
    )
