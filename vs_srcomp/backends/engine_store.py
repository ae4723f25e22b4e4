"""The engines of this process: one for each network, backend and plane format.

Engines outlive nodes, because mpv reloads its script at every seek.
"""

import threading
from collections import OrderedDict
from weakref import WeakValueDictionary

from vs_srcomp.backends.base import BackendConfig, Engine, PlaneFormat, StoringBackend
from vs_srcomp.backends.engine_files import EngineFiles
from vs_srcomp.backends.tiling import compile_fitting
from vs_srcomp.models.network import Network

# Enough for a few clips, levels and window sizes.
MAX_ENGINES = 16

MAX_LEVELS = 4
"""Engines of one network, which a long film can request at dozens of levels. An engine holds the features of its
layers, 145 MB for ``fast`` at 1920x1080, and takes about 0.1 s to make."""

type _Key = tuple[Network, BackendConfig, PlaneFormat]

_engines: OrderedDict[_Key, Engine] = OrderedDict()
_alive: WeakValueDictionary[_Key, Engine] = WeakValueDictionary()
"""Those that were dropped, too, as long as a graph or a worker holds them."""
_turns: WeakValueDictionary[_Key, threading.Lock] = WeakValueDictionary()
_lock = threading.Lock()


def get_engine(network: Network, backend: BackendConfig, plane: PlaneFormat) -> Engine:
    """The engine for ``network`` on planes of one format, compiled at the first request.

    If several threads request the same engine, one compiles it, and the others wait. If that fails, the next one tries.

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
                _keep(key, engine)
        return engine


def is_kept(network: Network, backend: BackendConfig, plane: PlaneFormat) -> bool:
    """Whether the store holds such an engine."""
    with _lock:
        return (network, backend, plane) in _engines


def prepare(network: Network, backend: BackendConfig, plane: PlaneFormat) -> Engine:
    """A new engine: loaded from disk if it is stored there, and tiled if the backend or its memory requires it.

    Raises:
        vs.Error: The library is missing, or cannot run the network.
    """
    compiler = EngineFiles(backend) if isinstance(backend, StoringBackend) else backend
    return compile_fitting(compiler, network, plane, backend.tile)


def _keep(key: _Key, engine: Engine) -> None:
    """Keep the engine for ``key``, and drop the oldest ones that are too many."""
    _engines[key] = _alive[key] = engine
    network, *others = key
    if network.made_from is not None:
        levels = [each for each in _engines if each[0].made_from == network.made_from and [*each[1:]] == others]
        for each in levels[:-MAX_LEVELS]:
            del _engines[each]
    if len(_engines) > MAX_ENGINES:
        _engines.popitem(last=False)


def _engine(key: _Key) -> Engine | None:
    if key in _engines:  # as a rule, for every frame
        _engines.move_to_end(key)
        return _engines[key]
    engine = _alive.get(key)
    if engine is not None:
        _keep(key, engine)
    return engine
