"""From samples to a file: Pillow writes 8 bits; what has more goes through FFmpeg, with what Pillow makes beside it."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from vs_srcomp.stills.formats import AVIF, JPEG, PNG, TIFF, WEBP, PictureKind
from vs_srcomp.stills.picture import UNSPECIFIED, Metadata
from vs_srcomp.stills.tiff import write_tiff

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Deflate's effort in PNG. Of an upscaled photograph of 4 megapixels: 1 takes 0.2 s for 1.86 MB, 3 0.28 s for 1.65 MB,
# 6, Pillow's default, 0.65 s for 1.42 MB, more than all of the rest.
_EFFORT = 3

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
    if samples.dtype.itemsize > 1:
        _write_deep_png(file, samples, metadata)
        return
    beside: dict[str, Any] = {"icc_profile": metadata.icc}
    if metadata.exif:
        beside["exif"] = metadata.exif
    if kind is PNG:
        beside |= _png_extras(metadata) | {"compress_level": _EFFORT}
    else:
        if metadata.xmp:
            beside["xmp"] = metadata.xmp
        beside["quality"] = quality
    if kind is JPEG:
        beside["subsampling"] = _SUBSAMPLING.get(subsampling, "4:2:0")
        if metadata.dpi:
            beside["dpi"] = metadata.dpi
    if kind is AVIF and samples.ndim == 3 and samples.shape[2] > 2:
        beside["subsampling"] = _SUBSAMPLING.get(subsampling, "4:2:0")
    if kind is WEBP:
        beside |= {"lossless": True, "quality": 60, "exact": True} if lossless else {"use_sharp_yuv": True}
    Image.fromarray(samples).save(file, kind.name, **beside)


def _png_extras(metadata: Metadata) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    tags = metadata.tags
    # Where there are both, viewers go by the numbers; a profile describes more, but not HDR.
    if tags not in (UNSPECIFIED, (1, 13)) and (metadata.icc is None or tags.is_hdr):
        info.add(b"cICP", bytes([tags.primaries, tags.transfer, 0, 1]))
    if metadata.xmp:
        info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
    return {"pnginfo": info} | ({"dpi": metadata.dpi} if metadata.dpi else {})


def _write_deep_png(file: Path, samples: "NDArray[Any]", metadata: Metadata) -> None:
    """PNG of 16 bits: the picture from FFmpeg, which Pillow cannot write, the chunks beside it from Pillow."""
    from PIL.PngImagePlugin import putchunk

    from vs_srcomp.stills.encoding import encoded_png

    small = BytesIO()
    beside: dict[str, Any] = {"icc_profile": metadata.icc} | _png_extras(metadata)
    if metadata.exif:
        beside["exif"] = metadata.exif
    Image.new("RGB", (1, 1)).save(small, "PNG", **beside)
    # Some of Pillow's chunks come behind the picture, where all of these may be before it, too.
    chunks = b"".join(chunk for kind, chunk in _chunks(small.getvalue()) if kind not in (b"IHDR", b"IDAT", b"IEND"))
    picture = encoded_png(samples)
    after_header = 8 + 25
    with file.open("wb") as out:
        out.write(picture[:after_header])
        out.write(chunks)
        if metadata.light:
            # In units of 0.0001 cd/m^2; Pillow does not support the chunk.
            putchunk(out, b"cLLI", *((10_000 * level).to_bytes(4, "big") for level in metadata.light))
        out.write(memoryview(picture)[after_header:])


def _chunks(png: bytes) -> "list[tuple[bytes, bytes]]":
    """The chunks of a PNG file by name, whole."""
    found = []
    at = 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        found.append((png[at + 4 : at + 8], png[at:end]))
        at = end
    return found
