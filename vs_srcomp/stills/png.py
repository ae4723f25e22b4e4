"""PNG of 8 and 16 bits, packed by all cores at a time; the chunks beside the picture are Pillow's.

Pillow writes no RGB of 16 bits, and it and FFmpeg pack on one core, which takes longer than all that is done with the
picture before.
"""

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo, putchunk

from vs_srcomp.processor import core_count
from vs_srcomp.stills.picture import UNSPECIFIED, Metadata

# Deflate's effort. Files are as large as Pillow's at 3, and are made on one core in half of the time. Of an upscaled
# photograph of 4 megapixels: 1 takes 0.18 s for 4.43 MB, 4 0.27 s for 3.97 MB, 6 0.9 s for 3.8 MB.
_EFFORT = 4

_STRIP = 1 << 20
"""Bytes of rows that are packed at once, about; they share no dictionary with the next ones."""

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""By number of channels."""

_UP = 2
"""The filter of all rows, differences to the row above: none packs upscaled photographs better at such an effort."""

_ADLER = 65521


def write_png(file: Path, samples: NDArray[Any], metadata: Metadata) -> None:
    """Write a picture without loss.

    Args:
        file: Where to write.
        samples: Height x width, or height x width x channels: grey, grey and alpha, RGB or RGBA; uint8 or uint16.
        metadata: What goes with it.
    """
    channels = samples if samples.ndim == 3 else samples[:, :, None]
    height, width, count = channels.shape
    depth = 8 * samples.dtype.itemsize
    header = [width.to_bytes(4, "big"), height.to_bytes(4, "big"), bytes([depth, _COLOUR_TYPES[count], 0, 0, 0])]
    with file.open("wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n")
        putchunk(out, b"IHDR", *header)
        out.writelines(_chunks_beside(metadata))
        for part in _packed(channels):
            putchunk(out, b"IDAT", part)
        putchunk(out, b"IEND")


def _packed(channels: NDArray[Any]) -> Iterator[bytes]:
    """A stream of zlib (RFC 1950) in parts, each of which is packed by itself."""
    height = len(channels)
    step = max(1, _STRIP // channels[0].nbytes)
    checksum = 1
    yield b"\x78\x5e"
    with ThreadPoolExecutor(core_count()) as pool:
        parts = [pool.submit(_strip, channels, top, min(top + step, height)) for top in range(0, height, step)]
        for number, part in enumerate(parts):
            packed, own, size = part.result()
            parts[number] = part = None  # type: ignore[call-overload, assignment]  # memory holds one copy of it
            checksum = _joined(checksum, own, size)
            yield packed
    yield checksum.to_bytes(4, "big")


def _strip(channels: NDArray[Any], top: int, bottom: int) -> tuple[bytes, int, int]:
    """Rows from ``top`` to ``bottom``, filtered and packed; their checksum and their size before it was packed."""
    above = channels[max(top - 1, 0) : bottom]
    rows = above.astype(above.dtype.newbyteorder(">"), copy=False).reshape(len(above), -1).view(np.uint8)
    filtered = np.empty((bottom - top, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _UP
    if top:
        np.subtract(rows[1:], rows[:-1], out=filtered[:, 1:])
    else:
        filtered[0, 1:] = rows[0]
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    packer = zlib.compressobj(_EFFORT, wbits=-zlib.MAX_WBITS)
    is_last = bottom == len(channels)
    packed = packer.compress(filtered) + packer.flush(zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH)
    return packed, zlib.adler32(filtered), filtered.nbytes


def _joined(first: int, second: int, size: int) -> int:
    """Adler-32 of what has the checksum ``first`` and, behind it, ``size`` bytes that have ``second``."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + size * ((first & 0xFFFF) - 1)
    return high % _ADLER << 16 | low % _ADLER


def _chunks_beside(metadata: Metadata) -> Iterator[bytes]:
    """What a PNG file has before the picture, as Pillow writes it, whole."""
    info = PngInfo()
    tags = metadata.tags
    # Where there are both, viewers go by the numbers; a profile describes more, but not HDR.
    if tags not in (UNSPECIFIED, (1, 13)) and (metadata.icc is None or tags.is_hdr):
        info.add(b"cICP", bytes([tags.primaries, tags.transfer, 0, 1]))
    if metadata.xmp:
        info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
    beside: dict[str, Any] = {"icc_profile": metadata.icc, "pnginfo": info}
    if metadata.dpi:
        beside["dpi"] = metadata.dpi
    if metadata.exif:
        beside["exif"] = metadata.exif
    small = BytesIO()
    Image.new("RGB", (1, 1)).save(small, "PNG", **beside)
    # Some of Pillow's chunks come behind the picture, where all of these may be before it, too.
    yield from (chunk for kind, chunk in _chunks(small.getvalue()) if kind not in (b"IHDR", b"IDAT", b"IEND"))
    if metadata.light:
        # In units of 0.0001 cd/m^2; Pillow does not support the chunk.
        light = BytesIO()
        putchunk(light, b"cLLI", *((10_000 * level).to_bytes(4, "big") for level in metadata.light))
        yield light.getvalue()


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG file by name, whole."""
    at = 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at:end]
        at = end
