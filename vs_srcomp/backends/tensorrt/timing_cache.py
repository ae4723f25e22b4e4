"""How fast each of TensorRT's ways to compute a layer is on a card: measured once, kept for the next network."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from vs_srcomp.engine_folder import NAME_LENGTH, engines_folder
from vs_srcomp.files import write_atomically


class TimingCache:
    """A file beside the engines. Nothing depends on it but how long the next network takes."""

    def __init__(self, identity: Mapping[str, str]) -> None:
        """Name it by what measurements depend on."""
        digest = hashlib.sha256(json.dumps(dict(identity), sort_keys=True).encode()).hexdigest()
        self._name = digest[:NAME_LENGTH] + ".timing"

    def read(self) -> bytes:
        """What was kept; nothing if there is none. TensorRT itself refuses what is damaged."""
        with suppress(OSError):
            return self._path().read_bytes()
        return b""

    def write(self, timings: bytes) -> None:
        """Keep it, where that is possible."""
        with suppress(OSError):
            path = self._path()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, timings)

    def _path(self) -> Path:
        return engines_folder() / self._name
