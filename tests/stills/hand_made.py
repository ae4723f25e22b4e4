"""Files of kinds that neither Pillow nor this package writes."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import putchunk

_SHORT, _LONG = (3, "H"), (4, "I")


def write_grey_png(file: Path, codes: NDArray[np.uint8], *, bits: int, transparent: int) -> None:
    """Write a PNG of grey codes of 1 to 8 ``bits``, one of which is ``transparent``."""
    height, width = codes.shape
    of_samples = np.unpackbits(codes[:, :, None], axis=2)[:, :, 8 - bits :].reshape(height, -1)
    rows = np.hstack([np.zeros((height, 1), np.uint8), np.packbits(of_samples, axis=1)])
    with file.open("wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n")
        putchunk(out, b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
        putchunk(out, b"tRNS", struct.pack(">H", transparent))
        putchunk(out, b"IDAT", zlib.compress(rows.tobytes()))
        putchunk(out, b"IEND")


def write_raw_tiff(
    file: Path, pages: Sequence[NDArray[Any]], *, planar: bool = False, tile: int = 0, **tags: int | None
) -> None:
    """Write pages of height x width x channels without compression (TIFF 6.0).

    Args:
        file: Where to write.
        pages: Little-endian samples.
        planar: Whether channels come one after the other.
        tile: Side of tiles; 0 for one strip.
        tags: ``extra`` (338) and ``sample_format`` (339, for each channel).
    """
    out, link = bytearray(b"II*\0\0\0\0\0"), 4
    for page in pages:
        height, width, count = page.shape
        if planar:
            parts = [page[:, :, channel] for channel in range(count)]
        elif tile:
            parts = [
                page[top : top + tile, left : left + tile]
                for top in range(0, height, tile)
                for left in range(0, width, tile)
            ]
        else:
            parts = [page]
        places, sizes = [], []
        for part in parts:
            places.append(len(out))
            sizes.append(len(part.tobytes()))
            out += part.tobytes()
        entries = {
            256: (_SHORT, [width]),
            257: (_SHORT, [height]),
            258: (_SHORT, [8 * page.itemsize] * count),
            259: (_SHORT, [1]),
            262: (_SHORT, [2 if count > 2 else 1]),
            277: (_SHORT, [count]),
            284: (_SHORT, [2 if planar else 1]),
        }
        if tile:
            entries |= {322: (_SHORT, [tile]), 323: (_SHORT, [tile]), 324: (_LONG, places), 325: (_LONG, sizes)}
        else:
            entries |= {273: (_LONG, places), 278: (_SHORT, [height]), 279: (_LONG, sizes)}
        if (extra := tags.get("extra")) is not None:
            entries[338] = (_SHORT, [extra])
        if (kind := tags.get("sample_format")) is not None:
            entries[339] = (_SHORT, [kind] * count)
        directory = b""
        for tag, ((number, letter), values) in sorted(entries.items()):
            data = struct.pack(f"<{len(values)}{letter}", *values)
            if len(data) > 4:
                place = struct.pack("<I", len(out))
                out += data + b"\0" * (len(data) % 2)
                data = place
            directory += struct.pack("<HHI", tag, number, len(values)) + data.ljust(4, b"\0")
        out += b"\0" * (len(out) % 2)
        out[link : link + 4] = struct.pack("<I", len(out))
        out += struct.pack("<H", len(entries)) + directory
        link = len(out)
        out += b"\0\0\0\0"
    file.write_bytes(bytes(out))
