"""What is to be done with a picture, as plain data, and what has been done."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from vs_srcomp.settings import UpscaleSettings

QUALITY = 90
"""Of lossy outputs by default: hardly any loss is visible."""


@dataclass(frozen=True, kw_only=True)
class PictureJob(UpscaleSettings):
    """One picture to upscale into another, or numbered ones; sizes are those that are shown."""

    source: Path
    target: Path

    depth: Literal[8, 10, 12, 16] | None = None
    """Bits of a sample in the output; None is 8 for what has 8, and for what has more as many as the format holds,
    which in AVIF is 10 for what has 10."""
    quality: int = QUALITY
    """Of lossy formats, 1 to 100."""
    lossless: bool = False
    """For formats that can be either."""
    overwrite: bool = False
    """Replace ``target`` if it exists."""
    start: Fraction | None = None
    """Of the frames of a video, those from this time on become pictures, in seconds; None for the first."""
    end: Fraction | None = None
    """Frames at this time or later do not; None for the end."""


@dataclass(frozen=True, kw_only=True)
class PictureResult:
    """What has been done."""

    target: Path
    source_size: tuple[int, int]
    """Width and height in pixels, as shown."""
    target_size: tuple[int, int]
    model: str
    """Of the network that restored it."""
    q: float
    """The compression level that was taken."""
    bits: int
    """Of a sample in the output."""
    seconds: float
    """That the work took."""
    bytes: int
    """Size of the file."""
    notes: tuple[str, ...]
    """What is not kept, and what was assumed."""
