"""What is known of a job before any frame is encoded."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vs_srcomp.errors import error
from vs_srcomp.media.picture import Picture
from vs_srcomp.media.section import Section

_PIECES, _PIECE_BYTES = 16, 64 << 10


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Distinguishes a file from others, and from its earlier states."""

    bytes: int
    """Its size."""
    mtime_ns: int
    """When it was last changed, in nanoseconds since 1970. A copy of the file may have another."""
    sample: str
    """SHA-256, in hexadecimal, of the size and of 16 pieces of 64 KiB spread evenly over the file, both ends included:
    even a large file takes no time."""


@dataclass(frozen=True, kw_only=True)
class JobInfo:
    """What holds for the whole of a job, and for each of its segments. Plain data."""

    source: Fingerprint
    section: Section
    """The part of the source that the job is about."""
    picture: Picture
    """Of the output."""
    source_size: tuple[int, int]
    """Width and height in pixels."""
    codec: str
    """FFmpeg's name of the output's codec, such as ``av1``; empty if unknown before the first packet."""
    time_base: Fraction
    """The unit of timestamps, in seconds."""
    rate: Fraction | None
    """Frames per second, if they are shown at one rate."""
    average_rate: Fraction | None
    """Frames per second on average, for the encoder's spending of bits; None if not known."""


def fingerprint(file: Path) -> Fingerprint:
    """The fingerprint of ``file`` as it is now."""
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


def check_unchanged(file: Path, before: Fingerprint) -> None:
    """Raise an error if ``file`` is neither the one that ``before`` was taken from, nor a copy of it."""
    now = fingerprint(file)
    if (now.bytes, now.sample) != (before.bytes, before.sample):
        raise error(f"{str(file)!r} has changed since the work on it began", "start the job again")
