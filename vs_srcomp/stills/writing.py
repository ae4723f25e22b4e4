"""From samples to a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.ExifTags import Base

from vs_srcomp.stills.exif_text import parsed_exif
from vs_srcomp.stills.formats import AVIF, JPEG, PNG, TIFF, WEBP, PictureKind, has_greys
from vs_srcomp.stills.picture import Metadata
from vs_srcomp.stills.png import write_png
from vs_srcomp.stills.tiff import write_tiff

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SUBSAMPLING = {(0, 0): "4:4:4", (1, 0): "4:2:2"}


def write_samples(
    file: Path,
    kind: PictureKind,
    samples: "NDArray[Any]",
    metadata: Metadata,
    *,
    quality: int,
    lossless: bool,
    subsampling: tuple[int, int],
) -> None:
    """Write a picture of grey, grey and alpha, RGB or RGBA.

    Args:
        file: Where to write.
        kind: The format.
        samples: Height x width, or height x width x channels, full range, uint8 or (PNG, TIFF) uint16.
        metadata: What goes with it.
        quality: Of lossy formats.
        lossless: Whether WebP is written without loss.
        subsampling: log2 of that of chroma in the source, which lossy formats take over where they can.
    """
    if kind is TIFF:
        write_tiff(file, samples, metadata)
        return
    if kind is PNG:
        write_png(file, samples, metadata)
        return
    beside: dict[str, Any] = {"icc_profile": metadata.icc, "quality": quality}
    exif = metadata.exif
    if metadata.dpi and kind is not JPEG:
        exif = _with_resolution(exif, *metadata.dpi)
    if exif:
        beside["exif"] = exif
    if metadata.xmp:
        beside["xmp"] = metadata.xmp
    if kind is JPEG:
        beside["subsampling"] = _SUBSAMPLING.get(subsampling, "4:2:0")
        if metadata.dpi:
            beside["dpi"] = metadata.dpi
    if kind is AVIF and samples.ndim == 3 and samples.shape[2] > 2:
        beside["subsampling"] = _SUBSAMPLING.get(subsampling, "4:2:0")
    if metadata.has_grey_profile and not has_greys(kind, with_alpha=samples.ndim == 3 and samples.shape[2] in (2, 4)):
        del beside["icc_profile"]
    if kind is WEBP:
        beside |= {"lossless": True, "quality": 60, "exact": True} if lossless else {"use_sharp_yuv": True}
    Image.fromarray(samples).save(file, kind.name, **beside)


def _with_resolution(exif: bytes, horizontal: float, vertical: float) -> bytes:
    """``exif`` that states pixels per inch, as it is if it does; for files that have no other place for them."""
    parsed = parsed_exif(exif)
    if Base.XResolution in parsed:
        return exif
    parsed[Base.XResolution], parsed[Base.YResolution], parsed[Base.ResolutionUnit] = horizontal, vertical, 2
    return parsed.tobytes()
