"""A stage of the pipeline to measure, as plain data for another process."""

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
"""Stages that are measured only when named, because they explain another one, or only on a file."""

OF_FILES: tuple[Kind, ...] = ("file", "no-reuse")
"""Stages that process the frames of a file in order, from the first one on, at least once per round."""

WARM_UP = 0.1
"""Seconds of the warm-up, in which everything is loaded and compiled."""

LIMITS: dict[Kind, Kind] = {
    "copy": "decode",
    "source": "decode",
    "graph": "inference",
    "encode": "inference",
    "script": "inference",
    "file": "no-reuse",
}
"""The stage that each stage is compared with; most cannot be faster than it."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One thing to measure."""

    kind: Kind
    file: str
    """The video. Decode and source read it; all others get its first frames from memory."""
    frames: int
    """Number of frames in memory, which are used in a loop; for `OF_FILES`, of frames to read from the file."""
    width: int
    """Width of the upscaled picture."""
    height: int
    """Height of the upscaled picture."""
    ratio: str
    """Whose networks are used."""
    q: float
    """The compression level."""
    model: str
    """A tier, or the path of an ONNX file."""
    backend: str = "auto"
    """See `backend_from_text`."""
    threads: int = 0
    """Threads of the core; 0 for its default."""
    script: str = ""
    """Path of a peer's script."""
    network: str = ""
    """For a peer: path of the network at the level ``q``, as an ONNX file without an input for it."""
    variables: dict[str, str] = field(default_factory=dict)
    """Further variables of the peer's script."""

    @property
    def name(self) -> str:
        """Its unique name in a run."""
        if self.kind != "script":
            return self.kind
        settings = ",".join(f"{name}={value}" for name, value in self.variables.items())
        return self.script + (f":{settings}" if settings else "")

    @property
    def title(self) -> str:
        """Name in tables."""
        if self.kind != "script":
            return TITLES[self.kind]
        # Paths among the variables would make it too long for a table.
        settings = ", ".join(f"{name} {value}" for name, value in self.variables.items() if "/" not in value)
        return f"{PurePath(self.script).stem} ({settings})" if settings else PurePath(self.script).stem
