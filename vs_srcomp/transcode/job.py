"""What is to be done, as plain data that a queue can hold."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from vs_srcomp.backends.base import BackendConfig


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to upscale into another."""

    source: Path
    """The file to read; its first video track is upscaled."""
    target: Path
    """The file to write; its suffix says which container it becomes."""

    ratio: str | None = None
    """As for ``vs_srcomp.upscale``, like the next four."""
    width: int | None = None
    height: int | None = None
    q: float | Literal["auto"] = "auto"
    model: str | Path = "fast"
    backend: BackendConfig | None = None
    film_grain: Literal["off", "apply", "restore"] = "off"
    """The source's film grain: left out, applied before the networks, or put back after them."""

    crf: int = 26
    """Of SVT-AV1, 1 (best) to 63."""
    preset: int = 8
    """Of SVT-AV1, 0 (slowest, smallest files) to 13."""
    svt_params: str = ""
    """More settings of SVT-AV1, as ``key=value:key=value``."""

    start: Fraction | None = None
    """Seconds from the beginning of the file; frames shown earlier are left out, and the output starts at 0."""
    end: Fraction | None = None
    """Seconds from the beginning of the file; this moment and what follows is left out."""

    overwrite: bool = False
    """Replace ``target`` if it exists."""
    drop_incompatible: bool = False
    """Leave out streams that the container cannot hold, instead of refusing the job."""
