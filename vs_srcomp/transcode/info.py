"""Facts about a job that are known before any frame is encoded."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vs_srcomp.errors import error
from vs_srcomp.files import cannot_read
from vs_srcomp.media.picture import Picture
from vs_srcomp.media.section import Section

_PIECES, _PIECE_BYTES = 16, 64 << 10


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Identifies the content of a file."""

    bytes: int
    """Its size."""
    mtime_ns: int
    """Time of the last change, in nanoseconds since 1970. A copy of the file may have another."""
    sample: str
    """SHA-256, in hexadecimal, of the size and of 16 pieces of 64 KiB spread evenly over the file, both ends included,
    so that large files take no longer than small ones."""


@dataclass(frozen=True, kw_only=True)
class JobInfo:
    """Facts about a job, the same for each of its segments. Plain data."""

    source: Fingerprint
    section: Section
    """The part of the source to upscale."""
    picture: Picture
    """Format of the output."""
    source_size: tuple[int, int]
    """Width and height in pixels."""
    codec: str
    """FFmpeg's name of the output's codec, such as ``av1``; empty if unknown before the first packet."""
    time_base: Fraction
    """The unit of timestamps, in seconds."""
    rate: Fraction | None
    """Frames per second; None if the rate varies."""
    average_rate: Fraction | None
    """Frames per second on average, for the encoder's rate control; None if unknown."""


def fingerprint(file: Path) -> Fingerprint:
    """The fingerprint of ``file``.

    Raises:
        vs.Error: It cannot be read.
    """
    try:
        return _fingerprint(file)
    except OSError as reason:
        raise cannot_read(file, reason) from reason


def check_unchanged(file: Path, before: Fingerprint) -> None:
    """Raise an error if ``file`` cannot be read, or its content is not that of the fingerprint ``before``."""
    now = fingerprint(file)
    if (now.bytes, now.sample) != (before.bytes, before.sample):
        raise error(
            f"{str(file)!r} has changed since the work on it began", "start the job again, a batch with --restart"
        )


def _fingerprint(file: Path) -> Fingerprint:
    status = file.stat()
    digest = hashlib.sha256(f"{status.st_size}\n".encode())
    with file.open("rb") as opened:
        if status.st_size <= _PIECES * _PIECE_BYTES:
            digest.update(opened.read())
        else:
            for piece in range(_PIECES):
                opened.seek((status.st_size - _PIECE_BYTES) * piece // (_PIECES - 1))
                digest.update(opened.read(_PIECE_BYTES))
    return Fingerprint(bytes=status.st_size, mtime_ns=status.st_mtime_ns, sample=digest.hexdigest())
