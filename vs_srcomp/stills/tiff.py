"""TIFF: what decoders do not check, and files of 8 and 16 bits.

The directory is Pillow's, which itself writes no RGB of 16 bits, nor EXIF in packed files.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from vs_srcomp.errors import error
from vs_srcomp.stills.exif_text import EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD, parsed_exif
from vs_srcomp.stills.opening import opened
from vs_srcomp.stills.picture import Metadata

# Values of tags of TIFF 6.0.
_DEFLATE, _DIFFERENCES, _UNSPECIFIED, _PREMULTIPLIED, _STRAIGHT_ALPHA, _INCH = 8, 2, 0, 1, 2, 2
_OLD_DEFLATE, _SEPARATE, _SIGNED, _FLOATING = 32946, 2, 2, 3

_STRIP = 1 << 20
"""Bytes of a strip before compression, about."""

_LARGEST = (1 << 32) - 1

_EFFORT = 5


def checked_bits(image: Image.Image, file: Path) -> int:
    """Bits of a sample of a TIFF file that has been opened.

    Packed samples are checked: decoders ignore the checksums of Deflate, and FFmpeg's, which decodes more than 8 bits,
    fills in what is damaged.

    Raises:
        vs.Error: Samples are of a kind that is not read.
        zlib.error, OSError: The file is damaged.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    formats = tags.get(Base.SampleFormat, ())
    if _FLOATING in formats:
        raise error(f"{str(file)!r} has floating-point samples of unspecified range", "convert it to 16 bits first")
    bits: int = max(tags.get(Base.BitsPerSample, (1,)))
    if bits > 16:
        raise error(f"{str(file)!r} has {bits} bits a sample", "convert it to 16 bits first")
    if _SIGNED in formats:
        raise error(f"{str(file)!r} has signed samples of unspecified range", "convert it to unsigned ones first")
    if bits > 8:
        # FFmpeg's decoder, which reads these, makes black of tiles; planes one after the other it does not tell apart.
        for is_so, what in (
            (Base.TileOffsets in tags, "in tiles"),
            (
                tags.get(Base.PlanarConfiguration) == _SEPARATE and tags.get(Base.SamplesPerPixel, 1) > 1,
                "with separate planes",
            ),
        ):
            if is_so:
                raise error(
                    f"{str(file)!r} has {bits} bits a sample {what}, which is not read",
                    "convert it to PNG, or to TIFF in strips, with another program first",
                )
    if tags.get(Base.Compression) in (_DEFLATE, _OLD_DEFLATE):
        places, sizes = (
            (Base.StripOffsets, Base.StripByteCounts)
            if Base.StripOffsets in tags
            else (Base.TileOffsets, Base.TileByteCounts)
        )
        with file.open("rb") as stored:
            for place, size in zip(tags[places], tags[sizes], strict=True):
                stored.seek(place)
                zlib.decompress(stored.read(size))
    elif bits > 8:
        # Another handle: to load this one would turn it, and take the orientation away, which FFmpeg's samples need.
        with opened(file) as other:
            other.seek(image.tell())
            other.load()
    return bits


def has_premultiplied_alpha(image: Image.Image) -> bool:
    """Whether the colours of a TIFF file are multiplied by alpha (TIFF 6.0, section 18: associated alpha)."""
    return _PREMULTIPLIED in image.tag_v2.get(Base.ExtraSamples, ())  # type: ignore[attr-defined]


def has_further_channel(image: Image.Image) -> bool:
    """Whether a TIFF file has a channel that is neither colour nor alpha (TIFF 6.0, ExtraSamples: unspecified data).

    One of which nothing is said counts as alpha, as in other programs.
    """
    return _UNSPECIFIED in image.tag_v2.get(Base.ExtraSamples, ())  # type: ignore[attr-defined]


def write_tiff(file: Path, samples: NDArray[Any], metadata: Metadata) -> None:
    """Write a picture without loss, packed by Deflate over differences.

    Args:
        file: Where to write.
        samples: Height x width, or height x width x channels: grey, grey and alpha, RGB or RGBA; uint8 or uint16.
        metadata: What goes with it.
    """
    channels = samples if samples.ndim == 3 else samples[:, :, None]
    height, width, count = channels.shape
    rows = max(1, _STRIP // (width * count * samples.dtype.itemsize))
    strips = [_packed(channels[top : top + rows]) for top in range(0, height, rows)]
    directory = ImageFileDirectory_v2()
    _describe(directory, metadata)
    directory[Base.ImageWidth], directory[Base.ImageLength] = width, height
    directory[Base.BitsPerSample] = (8 * samples.dtype.itemsize,) * count
    directory[Base.Compression] = _DEFLATE
    directory[Base.Predictor] = _DIFFERENCES
    directory[Base.PhotometricInterpretation] = 1 if count < 3 else 2
    directory[Base.SamplesPerPixel] = count
    directory[Base.RowsPerStrip] = rows
    if count in (2, 4):
        directory[Base.ExtraSamples] = _STRAIGHT_ALPHA
    directory[Base.StripByteCounts] = tuple(map(len, strips))
    # From the end of the directory, by which Pillow moves them.
    directory[Base.StripOffsets] = tuple(np.cumsum([0, *map(len, strips[:-1])]).tolist())
    if sum(map(len, strips)) > _LARGEST - (1 << 24):
        raise error("the picture is too large for TIFF, which ends at 4 GB", "write .png instead, or a smaller size")
    with file.open("wb") as out:
        directory.save(out)
        for strip in strips:
            out.write(strip)


def _describe(directory: ImageFileDirectory_v2, metadata: Metadata) -> None:
    if metadata.exif:
        exif = parsed_exif(metadata.exif)
        for tag in exif:
            inner = dict(exif.get_ifd(tag)) if tag in (EXIF_IFD, GPS_IFD) else None
            if inner and INTEROPERABILITY_IFD in inner:
                inner[INTEROPERABILITY_IFD] = exif.get_ifd(INTEROPERABILITY_IFD)
            directory[tag] = exif[tag] if inner is None else inner
    if metadata.icc:
        directory[Base.InterColorProfile] = metadata.icc
    if metadata.xmp:
        directory[Base.XMLPacket] = metadata.xmp
    if metadata.dpi:
        directory[Base.XResolution], directory[Base.YResolution] = metadata.dpi
        directory[Base.ResolutionUnit] = _INCH


def _packed(rows: NDArray[Any]) -> bytes:
    little = rows.astype(rows.dtype.newbyteorder("<"))
    little[:, 1:] -= rows[:, :-1]
    return zlib.compress(little.tobytes(), _EFFORT)
