"""Text in EXIF, whose bytes come out as they came in.

EXIF has a type for ASCII only, under which programs write UTF-8 and other codes. Pillow reads any bytes as Latin-1, but
writes ASCII, with question marks for all else.
"""

from typing import TYPE_CHECKING, Final

from PIL.ExifTags import IFD

if TYPE_CHECKING:
    from PIL.Image import Exif

EXIF_IFD: Final = int(IFD.Exif)
GPS_IFD: Final = int(IFD.GPSInfo)
INTEROPERABILITY_IFD: Final = int(IFD.Interop)


def parsed_exif(data: bytes) -> "Exif":
    """The EXIF in ``data``, which may be empty; Pillow will write its text as `keep_text` says."""
    from PIL import Image

    exif = Image.Exif()
    exif.load(data)
    keep_text(exif)
    return exif


def keep_text(exif: "Exif") -> None:
    """Have Pillow write the text in ``exif`` and its inner directories in the bytes that it was read from."""
    # To ask for a directory that is not there makes an empty one.
    directories = [exif, *(exif.get_ifd(tag) for tag in (EXIF_IFD, GPS_IFD) if tag in exif)]
    if EXIF_IFD in exif and INTEROPERABILITY_IFD in exif.get_ifd(EXIF_IFD):
        directories.append(exif.get_ifd(INTEROPERABILITY_IFD))
    for directory in directories:
        for tag, value in list(directory.items()):
            if isinstance(value, str):
                directory[tag] = _Latin1(value)


class _Latin1(str):
    """Text that has one code whatever is asked for. Tags that Pillow does not know would not be text as `bytes`."""

    __slots__ = ()

    def encode(self, encoding: str = "latin-1", errors: str = "strict") -> bytes:
        return super().encode("latin-1", errors)
