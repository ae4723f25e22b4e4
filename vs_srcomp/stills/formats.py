"""The kinds of pictures that are read and written, and what each can hold. Imports nothing that is heavy."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vs_srcomp.errors import error


@dataclass(frozen=True, kw_only=True)
class PictureKind:
    """A format that is written."""

    name: str
    """Pillow's name."""
    suffixes: tuple[str, ...]
    """The first one is that of a batch's outputs."""
    depths: tuple[int, ...]
    """Bits of a sample."""
    alpha: bool
    lossless: Literal["always", "on request", "never"]
    tags: bool
    """Whether there is a place for ITU-T H.273's numbers of the colour space."""
    largest: int
    """Side in pixels."""

    @property
    def suffix(self) -> str:
        """As messages name it."""
        return self.suffixes[0]

    @property
    def bits(self) -> int:
        """Most bits of a sample."""
        return self.depths[-1]


_UNBOUNDED = 1 << 31

PNG = PictureKind(
    name="PNG", suffixes=(".png",), depths=(8, 16), alpha=True, lossless="always", tags=True, largest=_UNBOUNDED - 1
)
TIFF = PictureKind(
    name="TIFF",
    suffixes=(".tif", ".tiff"),
    depths=(8, 16),
    alpha=True,
    lossless="always",
    tags=False,
    largest=_UNBOUNDED - 1,
)
AVIF = PictureKind(
    name="AVIF", suffixes=(".avif",), depths=(8, 10, 12), alpha=True, lossless="on request", tags=True, largest=65536
)
JPEG = PictureKind(
    name="JPEG", suffixes=(".jpg", ".jpeg"), depths=(8,), alpha=False, lossless="never", tags=False, largest=65500
)
WEBP = PictureKind(
    name="WEBP", suffixes=(".webp",), depths=(8,), alpha=True, lossless="on request", tags=False, largest=16383
)

KINDS = (PNG, TIFF, AVIF, JPEG, WEBP)

# What is known to hold pictures, but is not written.
_NOT_WRITTEN = frozenset({".jxl", ".gif", ".bmp", ".heic", ".heif", ".jp2", ".ppm", ".apng"})

SUFFIXES_READ = frozenset({suffix for kind in KINDS for suffix in kind.suffixes} | {".bmp", ".gif", ".jxl"})
"""Of files that a batch takes from a folder."""


def has_greys(kind: PictureKind, *, with_alpha: bool) -> bool:
    """Whether ``kind`` stores grey pictures, ``with_alpha`` or without, as such. If not, they become RGB."""
    return kind is not WEBP and not (kind is AVIF and with_alpha)


def is_picture(file: Path) -> bool:
    """Whether the name of ``file`` is that of a picture, not of a video."""
    suffix = file.suffix.lower()
    return suffix in _NOT_WRITTEN or any(suffix in kind.suffixes for kind in KINDS)


NUMBER = re.compile(r"%(?:0(\d{1,2}))?d")
"""Where the number stands in the name of numbered files."""


def is_pattern(file: Path) -> bool:
    """Whether ``file`` stands for numbered files: its name has ``%d``, ``%05d`` or the like, and is no file's own."""
    return bool(NUMBER.search(file.name)) and not file.exists()


def kind_of(target: Path) -> PictureKind:
    """The format that ``target`` becomes.

    Raises:
        vs.Error: None with that suffix is written.
    """
    for kind in KINDS:
        if target.suffix.lower() in kind.suffixes:
            return kind
    raise error(
        f"pictures of the kind {target.suffix!r} are not written",
        f"give the output one of the suffixes {', '.join(suffix for kind in KINDS for suffix in kind.suffixes)}",
    )
