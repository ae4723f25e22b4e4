"""Pictures in tiles: the grid items of AVIF and HEIF files (ISO/IEC 23008-12, 6.6.2.3).

FFmpeg gives each tile as a stream of its own, and PyAV does not pass on how they belong together.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import vapoursynth as vs

from vs_srcomp.errors import error


@dataclass(frozen=True, slots=True)
class Grid:
    """How tiles make up a picture.

    Attributes:
        rows: Number of tiles one below the other.
        columns: Number of tiles side by side.
        width: Width of the picture; the tiles together may be wider.
        height: Height of the picture; the tiles together may be higher.
        tiles: Item numbers of the tiles, row by row.
    """

    rows: int
    columns: int
    width: int
    height: int
    tiles: tuple[int, ...]


def read_grid(file: str) -> Grid:
    """The grid that is the primary item of ``file``.

    Raises:
        vapoursynth.Error: There is no grid, or it is malformed.
    """
    data = Path(file).read_bytes()
    try:
        return _grid(data)
    except (KeyError, IndexError, ValueError, struct.error) as cause:
        raise damaged_grid(file) from cause


def damaged_grid(file: str) -> vs.Error:
    """The error for tiles of ``file`` without a valid grid."""
    return error(
        f"{file!r} is a picture in tiles, which do not fit together",
        "convert it with another program first, such as avifdec or heif-dec",
    )


def _grid(data: bytes) -> Grid:
    body, stop = dict(_boxes(data, 0, len(data)))[b"meta"]
    meta = dict(_boxes(data, body + 4, stop))
    primary = _primary_item(data, meta[b"pitm"][0])
    content = _item_data(data, meta, primary)
    _, flags, rows, columns = content[:4]
    width, height = struct.unpack(">2I" if flags & 1 else ">2H", content[4 : 12 if flags & 1 else 8])
    tiles = _parts_of(data, meta[b"iref"], primary)
    grid = Grid(rows + 1, columns + 1, width, height, tiles)
    if len(tiles) != grid.rows * grid.columns:
        raise ValueError
    return grid


type _Extent = tuple[int, int]
"""Position of the content of a box."""


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, _Extent]]:
    """The boxes in ``data[start:end]`` (ISO/IEC 14496-12, 4.2)."""
    at = start
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        stop = end if size == 0 else at + size
        if not body <= stop <= end:
            raise ValueError
        yield kind, (body, stop)
        at = stop


def _primary_item(data: bytes, body: int) -> int:
    """PrimaryItemBox: ISO/IEC 14496-12, 8.11.4."""
    return int(struct.unpack_from(">I" if data[body] else ">H", data, body + 4)[0])


def _parts_of(data: bytes, references: _Extent, item: int) -> tuple[int, ...]:
    """The items that ``item`` is derived from, by ItemReferenceBox: ISO/IEC 14496-12, 8.11.12."""
    start, end = references
    number = "I" if data[start] else "H"
    for kind, (body, _) in _boxes(data, start + 4, end):
        origin, count = struct.unpack_from(f">{number}H", data, body)
        if kind == b"dimg" and origin == item:
            return struct.unpack_from(f">{count}{number}", data, body + struct.calcsize(f">{number}H"))
    raise ValueError


def _item_data(data: bytes, meta: dict[bytes, _Extent], item: int) -> bytes:
    """The bytes of ``item``, by ItemLocationBox: ISO/IEC 14496-12, 8.11.3."""
    at, _ = meta[b"iloc"]
    version = data[at]
    sizes = struct.unpack_from(">H", data, at + 4)[0]
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    at += 6

    def take(size: int) -> int:
        nonlocal at
        at += size
        if at > len(data):
            raise ValueError
        return int.from_bytes(data[at - size : at])

    wide = 4 if version == 2 else 2
    for _ in range(take(wide)):
        number = take(wide)
        in_item_data_box = bool(version) and take(2) & 15 == 1
        take(2)  # data_reference_index
        base = take(base_size)
        content = b""
        for _ in range(take(2)):
            take(index_size)
            start, length = base + take(offset_size), take(length_size)
            if in_item_data_box:
                start += meta[b"idat"][0]
            content += data[start : start + length]
        if number == item:
            return content
    raise ValueError
