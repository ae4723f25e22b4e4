"""What Pillow finds beside the samples, made ready for the output."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from PIL.ExifTags import Base

from vs_srcomp.stills.exif_text import EXIF_IFD, keep_text, parsed_exif
from vs_srcomp.stills.picture import Metadata, Tags

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

# How a TIFF file stores its samples, which is not so in the output: sizes, strips and tiles,
# compression, JPEG tables, pages; and what goes its own way: XMP, Photoshop's blocks and the profile.
_OF_STORAGE = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291}
    | {292, 293, 297, 317, 320, 321, 322, 323, 324, 325, 330, 332, 336, 338, 339, 340, 341, 342, 347}
    | {*range(512, 522), 529, 530, 531, 532, 700, 33723, 34377, 34675, 50341}
)

_GAIN_MAP_IN_XMP = re.compile(
    rb"""\s+hdrgm:\w+=(?:"[^"]*"|'[^']*')|<(hdrgm:\w+)[^>]*?(?:/>|>.*?</\1>)|"""
    rb"""<(GContainer|Container):Directory>.*?</\2:Directory>""",
    re.DOTALL,
)
_ORIENTATION_IN_XMP = re.compile(rb"""(tiff:Orientation(?:="|='|>))[1-8]""")

_ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1"

# The head of an item's description in HEIF (ISO/IEC 14496-12, 8.11.6) whose type is that of a derived picture with a
# gain map.
_TONE_MAP_ITEM = re.compile(rb"infe(?:\x02.{3}.{2}|\x03.{3}.{4}).{2}tmap", re.DOTALL)
_NCLX = re.compile(rb"colrnclx(.{7})", re.DOTALL)

_XMP_KEYWORD = b"XML:com.adobe.xmp\0"

_HEAD = 1 << 16
"""Bytes of an AVIF file that its descriptions are in."""


def metadata_of(image: "Image", tags: Tags, light: tuple[int, int] | None) -> tuple[Metadata, int, tuple[str, ...]]:
    """What goes into the output, how the picture is to be turned for that, and what is not kept.

    Args:
        image: As Pillow has opened it.
        tags: Of the samples.
        light: Maximum and frame-average light level.
    """
    if _has_late_xmp(image):
        image.load()
    orientation, own = _exif_of(image)
    metadata = Metadata(
        tags=tags,
        icc=image.info.get("icc_profile") or None,
        exif=own or b"",
        xmp=_plain_xmp(image.info.get("xmp") or b"", has_gain_map=has_gain_map(image)),
        dpi=_dpi(image),
        light=light,
    )
    notes = () if own is not None else ("its EXIF is damaged, and is not kept",)
    return metadata, orientation if orientation in range(1, 9) else 1, notes


def _exif_of(image: "Image") -> tuple[int, bytes | None]:
    """The orientation of ``image``, and EXIF for the output; None if it is damaged."""
    try:
        exif = image.getexif()
        return exif.get(Base.Orientation, 1), _upright(exif)
    except Exception:  # anything, from struct.error to SyntaxError
        return 1, None


def has_gain_map(image: "Image") -> bool:
    """Whether there is a gain map that makes HDR of this picture (ISO 21496-1, Ultra HDR)."""
    if image.format == "AVIF":
        return bool(_TONE_MAP_ITEM.search(_head_of(image.filename)))  # type: ignore[attr-defined]
    segments = (data for _, data in getattr(image, "applist", ()))
    return b"hdrgm:" in (image.info.get("xmp") or b"") or any(data.startswith(_ISO_GAIN_MAP) for data in segments)


def container_colours(file: Path) -> tuple[int, int, int, int] | None:
    """Primaries, transfer, matrix and range of an AVIF file's own ``colr`` box, which counts more than the stream's.

    None where there is none, or several that differ.
    """
    found = set(_NCLX.findall(_head_of(file)))
    if len(found) != 1:
        return None
    (data,) = found
    primaries, transfer, matrix = (int.from_bytes(data[at : at + 2], "big") for at in (0, 2, 4))
    return primaries, transfer, matrix, data[6] >> 7


def resized_exif(exif: bytes, width: int, height: int) -> bytes:
    """``exif`` with the size of the output where it has one."""
    if not exif:
        return exif
    parsed = parsed_exif(exif)
    inner = parsed.get_ifd(EXIF_IFD)
    if Base.ExifImageWidth not in inner and Base.ExifImageHeight not in inner:
        return exif
    inner[Base.ExifImageWidth], inner[Base.ExifImageHeight] = width, height
    return parsed.tobytes()


def _head_of(file: str | Path) -> bytes:
    with Path(file).open("rb") as opened:
        return opened.read(_HEAD)


def _has_late_xmp(image: "Image") -> bool:
    """Whether a PNG file has XMP behind the samples, which Pillow does not read if EXIF comes before them."""
    if image.format != "PNG" or "xmp" in image.info or "exif" not in image.info:
        return False
    return _XMP_KEYWORD in Path(image.filename).read_bytes()  # type: ignore[attr-defined]


def _dpi(image: "Image") -> tuple[float, float] | None:
    """Pixels per inch; None where the file does not state them."""
    dpi = image.info.get("dpi")
    if dpi in (None, (1, 1)):  # the latter is TIFF's way to say nothing
        return None
    if image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in (1, 2):
        exif = image.getexif()
        if Base.XResolution not in exif or Base.ResolutionUnit not in exif:
            return None  # 72, which Pillow fills in
    return float(dpi[0]), float(dpi[1])


def _upright(exif: "Exif") -> bytes | None:
    """What is to be written of ``exif``; None if that cannot be."""
    for tag in [tag for tag in exif if tag in _OF_STORAGE]:
        del exif[tag]
    # Not 1 instead: Pillow takes it out of AVIF, and writes all else anew, text in ASCII.
    if Base.Orientation in exif:
        del exif[Base.Orientation]
    try:
        keep_text(exif)
        return exif.tobytes() if len(exif) else b""
    except Exception:  # anything: values of one type under tags of another
        return None


def _plain_xmp(xmp: bytes | str, *, has_gain_map: bool) -> bytes:
    data = xmp.encode() if isinstance(xmp, str) else xmp
    if has_gain_map:
        data = _GAIN_MAP_IN_XMP.sub(b"", data)
    return _ORIENTATION_IN_XMP.sub(rb"\g<1>1", data)
