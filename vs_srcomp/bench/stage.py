"""A stage of the pipeline that can be measured, as plain data for another process."""

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

type Kind = Literal[
    "decode", "copy", "source", "lanczos5", "inference", "graph", "encode", "file", "no-reuse", "script"
]

TITLES: dict[Kind, str] = {
    "decode": "bare decode (PyAV)",
    "copy": "decode + one copy",
    "source": "source()",
    "lanczos5": "Lanczos-5 alone",
    "inference": "raw inference",
    "graph": "whole graph",
    "encode": "graph + encode (SVT-AV1)",
    "file": "whole graph, file in order",
    "no-reuse": "the same without reuse",
    "script": "peer",
}

ON_REQUEST: frozenset[Kind] = frozenset({"copy", "file", "no-reuse"})
"""What is only measured when it is asked for by name, as it explains another one, or on a file that is given."""

OF_FILES: tuple[Kind, ...] = ("file", "no-reuse")
"""What is measured on the frames of a file in their order, from the first one on, at least once in each round."""

WARM_UP = 0.1
"""Seconds of a measurement after which everything is loaded and compiled; its result is dropped."""

LIMITS: dict[Kind, Kind] = {
    "copy": "decode",
    "source": "decode",
    "graph": "inference",
    "encode": "inference",
    "script": "inference",
    "file": "no-reuse",
}
"""What each kind is compared with, and most cannot be faster than, where there is such a thing."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One thing to measure."""

    kind: Kind
    file: str
    """The video; decode and source read it, all others get its first frames from memory."""
    frames: int
    """How many frames are kept in memory, to be used again and again; or read from the file, for `OF_FILES`."""
    width: int
    """Of the upscaled picture."""
    height: int
    """Of the upscaled picture."""
    ratio: str
    """Whose networks are used."""
    q: float
    """The compression level whose network is used."""
    model: str
    """A tier, or the path of an ONNX file."""
    backend: str = "auto"
    """As `backend_from_text` reads it."""
    threads: int = 0
    """Of the core; 0 for its own choice."""
    script: str = ""
    """Path of a peer's script."""
    variables: dict[str, str] = field(default_factory=dict)
    """More names that the peer's script finds."""

    @property
    def name(self) -> str:
        """Distinguishes it from the other stages of a run."""
        if self.kind != "script":
            return self.kind
        settings = ",".join(f"{name}={value}" for name, value in self.variables.items())
        return self.script + (f":{settings}" if settings else "")

    @property
    def title(self) -> str:
        """For people."""
        if self.kind != "script":
            return TITLES[self.kind]
        # Paths among the variables would make it too long for a table.
        settings = ", ".join(f"{name} {value}" for name, value in self.variables.items() if "/" not in value)
        return f"{PurePath(self.script).stem} ({settings})" if settings else PurePath(self.script).stem
