"""From a file to a picture: Pillow reads its kind and metadata, FFmpeg decodes what is YUV or has more than 8 bits."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import vapoursynth as vs

from vs_srcomp.errors import error, first_line
from vs_srcomp.stills.decoding import decoded_packet
from vs_srcomp.stills.exif_text import keep_text
from vs_srcomp.stills.from_channels import from_cmyk, from_packed, from_pillow
from vs_srcomp.stills.from_video import RANGE, from_video
from vs_srcomp.stills.level import level_of
from vs_srcomp.stills.metadata import has_gain_map, metadata_of
from vs_srcomp.stills.opening import is_single, opened
from vs_srcomp.stills.picture import UNSPECIFIED, Metadata, Picture, Plane
from vs_srcomp.stills.tiff import checked_bits, has_further_channel, has_premultiplied_alpha

if TYPE_CHECKING:
    from PIL import Image

# Of the exponent in a PNG file: 1 / 2.2 is written with two to five digits.
_SAME_GAMMA = 0.005


def read_picture(file: Path) -> Picture:
    """Read the picture in ``file``.

    Raises:
        vs.Error: It cannot be read, is none, has several pictures, or colours that nothing describes.
    """
    with opened(file) as image:
        _refuse_several(image, file)
        with _decoding_errors(file):
            return _read(image, file)


def frames_of(file: Path) -> Iterator[Picture]:
    """The pictures of an animation or of a file with pages, whole as they are shown.

    Raises:
        vs.Error: As of `read_picture`, for files that Pillow reads; `vs_srcomp.source` is for all others.
    """
    with opened(file) as image, _decoding_errors(file):
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            yield _with_extras(_page(image, file), image, file)


def _refuse_several(image: "Image.Image", file: Path) -> None:
    if is_single(image):
        return
    count = getattr(image, "n_frames", 1)
    if image.format == "TIFF":
        raise error(
            f"{str(file)!r} holds {count} pictures, and one goes into a file",
            "write numbered pictures, such as out/%03d.png",
        )
    # Videos are not upscaled from RGB, and GIF, PNG, and WebP without loss are that.
    is_rgb = image.format in ("GIF", "PNG") or b"VP8L" in file.read_bytes()
    video = "" if is_rgb else "a video, such as out.mkv, or "
    raise error(
        f"{str(file)!r} is an animation of {count} pictures, and one goes into a file",
        f"write {video}numbered pictures, such as out/%05d.png",
    )


@contextmanager
def _decoding_errors(file: Path) -> Iterator[None]:
    """Turn what Pillow's and FFmpeg's decoders meet in a damaged file into the package's error."""
    try:
        yield
    except (vs.Error, MemoryError):
        raise
    except Exception as cause:  # anything, from struct.error to SyntaxError
        reason = getattr(cause, "strerror", None) or first_line(cause)  # those of the system and of FFmpeg have it
        raise error(
            f"{str(file)!r} cannot be decoded ({reason.lower()})",
            "check that the file is whole, or convert it with another program first",
        ) from cause


def _read(image: "Image.Image", file: Path) -> Picture:
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    if kind == "TIFF":
        # All directories have to be read before Pillow has decoded and closes the file. Damaged ones are found later.
        with suppress(Exception):
            keep_text(image.getexif())
    if image.mode == "CMYK":
        return _with_extras(from_cmyk(image, file), image, file)
    picture = None
    if kind == "JPEG":
        image.load()  # FFmpeg fills in what is missing from a damaged file without a word.
    if kind in RANGE:
        picture = from_video(image, file, kind)
    elif kind == "PNG":
        picture = from_packed(decoded_packet(file, "png"), has_colours=True)
        if picture is not None and image.mode == "L" and "transparency" in image.info:
            picture = replace(picture, alpha=_alpha_of_key(image, _png_bits(file)))
    elif kind == "TIFF" and (bits := checked_bits(image, file)) > 8:
        picture = from_packed(
            decoded_packet(file, "tiff"),
            has_colours=False,
            has_alpha=not has_further_channel(image),
            is_premultiplied=has_premultiplied_alpha(image),
        )
        if picture is None:
            raise error(
                f"{str(file)!r} has {bits} bits a sample, of a kind that is not read",
                "convert it to PNG with another program first",
            )
    return _with_extras(picture or from_pillow(image), image, file)


def _page(image: "Image.Image", file: Path) -> Picture:
    """A page or a picture of an animation, as Pillow decodes it: of colours, 8 bits."""
    if image.mode == "CMYK":
        return from_cmyk(image, file)
    if image.format == "TIFF" and checked_bits(image, file) > 8 and not image.mode.startswith("I"):
        raise error(
            f"{str(file)!r} has pages of 16 bits in colour, which are not read", "write each page to a file of its own"
        )
    picture = from_pillow(image)
    if image.format == "PNG" and _png_bits(file) > 8:
        return replace(picture, notes=(*picture.notes, "of the 16 bits of an animation, 8 are read"))
    return picture


def _alpha_of_key(image: "Image.Image", bits: int) -> Plane:
    """Alpha of a grey PNG that names one transparent value (PNG, third edition, 11.3.2.1).

    FFmpeg and Pillow scale samples of 2 and 4 bits to 8 bits, and compare them with the unscaled value.
    """
    peak = (1 << bits) - 1
    transparent = (image.info["transparency"] & peak) * 255 // peak
    return np.where(np.asarray(image) == transparent, np.uint8(0), np.uint8(255))


def _png_bits(file: Path) -> int:
    """Bits of a sample of a PNG file: the ninth byte of its first chunk, which comes after 16 bytes."""
    with file.open("rb") as opened_file:
        return opened_file.read(25)[24]


def _with_extras(picture: Picture, image: "Image.Image", file: Path) -> Picture:
    """``picture`` with what Pillow finds beside the samples."""
    metadata, orientation, lost = metadata_of(image, picture.metadata.tags, picture.metadata.light)
    notes = [*picture.notes, *lost]
    if image.format == "TIFF" and has_further_channel(image):
        notes.append("a further channel, neither colour nor alpha, is not kept")
    if gamma := _gamma_without_number(image, metadata):
        notes.append(f"its gamma of {1 / gamma:.3g} has no number (CICP), and is not kept")
    if has_gain_map(image):
        notes.append("its gain map is dropped: the output is the picture for ordinary displays")
    elif image.format == "MPO":
        notes.append(f"of its {getattr(image, 'n_frames', 1)} pictures, the first is taken")
    q = picture.q if picture.q is not None else level_of(image, file)
    return replace(picture, orientation=orientation, metadata=metadata, q=q, notes=tuple(notes))


def _gamma_without_number(image: "Image.Image", metadata: Metadata) -> float | None:
    """The exponent of a PNG file whose colours it alone describes, and for which there is no number."""
    gamma = image.info.get("gamma") if image.format == "PNG" else None
    described = metadata.icc or "srgb" in image.info or metadata.tags.transfer != UNSPECIFIED.transfer
    return gamma if gamma and not described and abs(gamma - 1 / 2.2) > _SAME_GAMMA else None
