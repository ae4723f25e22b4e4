"""The file that a compiled engine is kept in: what it was made of, the engine, and checksums of both.

Magic bytes, format version and header length (both 32 bits, little-endian), SHA-256 of those and of the header, the
header (JSON), and what the backend gave, whose length and SHA-256 stand in the header.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# The line end tells of a file that was copied as text.
MAGIC = b"SRCOMP\r\n"

FORMAT = 1
"""Of these files, and of what their keys are made from."""

_PREFIX = struct.Struct("<8sII")
_START = _PREFIX.size + hashlib.sha256().digest_size

# Some hundred bytes are usual: what claims to be more is damaged, and not to be read.
_LONGEST_HEADER = 1 << 20


class UnusableFileError(Exception):
    """The file is not, or no longer, an engine of this format; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says of its engine."""

    key: Mapping[str, Any]
    """All that the engine was made of and depends on, as JSON has it."""
    model: str | None
    """Name of the network, where the package carries it."""
    created: float
    """Seconds since 1970."""
    length: int
    """Of the engine, in bytes."""
    sha256: str
    """Of the engine, in lower-case hexadecimal."""


def pack(built: bytes, *, key: Mapping[str, Any], model: str | None, created: float) -> bytes:
    """The content of a file for the engine ``built``; see `Header`."""
    sha256 = hashlib.sha256(built).hexdigest()
    header = Header(key=key, model=model, created=created, length=len(built), sha256=sha256)
    head = json.dumps(asdict(header), sort_keys=True).encode()
    prefix = _PREFIX.pack(MAGIC, FORMAT, len(head))
    return prefix + hashlib.sha256(prefix + head).digest() + head + built


def unpack(data: bytes, key: Mapping[str, Any]) -> bytes:
    """The engine in the content of a file.

    Args:
        data: The whole file.
        key: What the engine must have been made of.

    Raises:
        UnusableFileError: It is damaged, of another format, or made of something else.
    """
    end = _START + _header_length(data[: _PREFIX.size])
    header = _header(data[:end])
    built = data[end:]
    if len(built) < header.length:
        raise UnusableFileError("it is damaged: its end is missing")
    if hashlib.sha256(built).hexdigest() != header.sha256:
        raise UnusableFileError("it is damaged: its checksum is wrong")
    if header.key != key:
        raise UnusableFileError("it was made of something else than its name says")
    return built


def read_header(path: Path) -> Header:
    """What the file says of its engine, which is not looked at.

    Raises:
        UnusableFileError: It is damaged, or of another format.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        prefix = file.read(_PREFIX.size)
        return _header(prefix + file.read(_START - _PREFIX.size + _header_length(prefix)))


def is_engine_file(path: Path) -> bool:
    """Whether the file, sound or not and of any format version, is one of these."""
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _header_length(prefix: bytes) -> int:
    if len(prefix) < _PREFIX.size:
        raise UnusableFileError("it is damaged: its beginning is missing")
    magic, version, header_length = _PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise UnusableFileError("it is no file of an engine")
    if version != FORMAT:
        raise UnusableFileError(f"its format is {version}, not {FORMAT}")
    if header_length > _LONGEST_HEADER:
        raise UnusableFileError("it is damaged: its header cannot be so long")
    return int(header_length)


def _header(data: bytes) -> Header:
    """The header in ``data``, a file up to its end."""
    prefix, digest, head = data[: _PREFIX.size], data[_PREFIX.size : _START], data[_START:]
    if hashlib.sha256(prefix + head).digest() != digest:
        raise UnusableFileError("it is damaged: the checksum of its header is wrong")
    return Header(**json.loads(head))
