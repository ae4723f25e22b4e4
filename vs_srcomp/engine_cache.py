"""One engine per network, backend and plane format in a process, however often a script is loaded.

mpv loads the script anew at every seek, so engines must outlive nodes. Nodes themselves are never kept here. What is
worth it is also kept on disk, for the next process: see ``stored_engines``.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from vs_srcomp.backends.base import BackendConfig, Engine, PlaneFormat, StoringBackend
from vs_srcomp.backends.tiling import compile_fitting
from vs_srcomp.models.network import Network
from vs_srcomp.stored_engines import Outcome, load_or_build

# A few clips at a few levels, for a player window that was resized a few times.
MAX_ENGINES = 16

MAX_LEVELS = 4
"""Of one network, which a long film can ask for at dozens of levels. An engine holds what its network computes between
its layers: 145 MB for ``fast`` at 1920x1080, and takes about a tenth of a second to make again."""

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


def prepare(
    network: Network, backend: BackendConfig, plane: PlaneFormat, told: Callable[[Outcome], None] = lambda _: None
) -> Engine:
    """A new engine, in tiles where the backend or its device's memory asks for them, from disk where it is stored.

    Args:
        network: What to make ready.
        backend: What runs it.
        plane: The planes that it is to run on.
        told: Called with what became of each engine that a `StoringBackend` was asked for.

    Raises:
        vs.Error: The library is missing, or cannot run the network.
    """
    kept = _Kept(backend, told) if isinstance(backend, StoringBackend) else backend
    return compile_fitting(kept, network, plane, getattr(backend, "tile", 0))


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


@dataclass(frozen=True)
class _Kept:
    """A backend, whose engines come from disk."""

    backend: StoringBackend
    told: Callable[[Outcome], None]

    @property
    def workers(self) -> int:
        """As of the backend."""
        return self.backend.workers

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        """Make ready, or take what is ready."""
        return load_or_build(network, self.backend, plane, self.told)
