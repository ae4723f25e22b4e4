"""One engine for each network, backend and plane format in this process.

mpv loads the script again at every seek, so engines must outlive nodes.
"""

import threading
from collections import OrderedDict
from weakref import WeakValueDictionary

from vs_srcomp.backends.base import BackendConfig, Engine, PlaneFormat, StoringBackend
from vs_srcomp.backends.engine_files import EngineFiles
from vs_srcomp.backends.tiling import compile_fitting
from vs_srcomp.models.network import Network

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


def is_kept(network: Network, backend: BackendConfig, plane: PlaneFormat) -> bool:
    """Whether `get_engine` has such an engine."""
    with _lock:
        return (network, backend, plane) in _engines


def prepare(network: Network, backend: BackendConfig, plane: PlaneFormat) -> Engine:
    """A new engine, in tiles where the backend or its device's memory asks for them, from disk where it is stored.

    Raises:
        vs.Error: The library is missing, or cannot run the network.
    """
    compiler = EngineFiles(backend) if isinstance(backend, StoringBackend) else backend
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
