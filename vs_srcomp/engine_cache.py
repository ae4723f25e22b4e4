"""One engine per network, backend and plane format in a process, however often a script is loaded.

mpv loads the script anew at every seek, so engines must outlive nodes. Nodes themselves are never kept here.
"""

import threading
from collections import OrderedDict

from vs_srcomp.backends.base import BackendConfig, Engine, PlaneFormat
from vs_srcomp.models.network import Network

# Four compression levels for a player window that was resized a few times.
MAX_ENGINES = 16

type _Key = tuple[Network, BackendConfig, PlaneFormat]

_engines: OrderedDict[_Key, Engine] = OrderedDict()
_lock = threading.Lock()


def get_engine(network: Network, backend: BackendConfig, plane: PlaneFormat) -> Engine:
    """The engine for ``network`` on planes of one format; compiled at the first request."""
    key = (network, backend, plane)
    with _lock:
        if key not in _engines:
            _engines[key] = backend.compile(network, plane)
            if len(_engines) > MAX_ENGINES:
                _engines.popitem(last=False)
        _engines.move_to_end(key)
        return _engines[key]
