"""A picture file as Pillow sees it, before anything is decoded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vs_srcomp.errors import error
from vs_srcomp.named_files import address_in

if TYPE_CHECKING:
    from PIL import Image

_JXL_HEADS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")

# Pillow's limit is one for all threads.
_limit_lifted = threading.Lock()


@contextmanager
def opened(file: Path) -> "Iterator[Image.Image]":
    """``file`` as Pillow sees it; nothing is decoded yet."""
    from PIL import AvifImagePlugin, Image, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

    if address := address_in(str(file)):
        raise error(f"{address!r} is an address, not a file", "download it first: only local files are read")
    if not file.exists():
        raise error(f"{str(file)!r} does not exist", "check the path")
    if not file.is_file():
        raise error(
            f"{str(file)!r} is not a file", "give the path of a picture, or for numbered ones such as in/%05d.png"
        )
    formats = ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "GIF", "BMP"]
    with file.open("rb") as start:
        head = start.read(16)
    if head.startswith(_JXL_HEADS):
        formats = [_jpeg_xl(file)]
    try:
        Image.preinit()  # or else to ask for some formats loads all that there are
        with _of_any_size():
            image = Image.open(file, formats=formats)
    except (OSError, SyntaxError, ValueError) as cause:
        raise error(
            f"{str(file)!r} is not a picture that can be read",
            "give an AVIF, JPEG, PNG, WebP, TIFF, JPEG XL, GIF or BMP file that is whole; "
            "a video becomes numbered pictures, such as out/%05d.png",
        ) from cause
    with image:
        yield image


def is_single(image: "Image.Image") -> bool:
    """Whether it is taken for one picture: no animation and no pages. Of MPO, the first one is taken."""
    return getattr(image, "n_frames", 1) == 1 or image.format == "MPO"


@contextmanager
def _of_any_size() -> Iterator[None]:
    """Sizes are checked by what the whole work needs; Pillow's own limit is for servers that take uploads."""
    from PIL import Image

    with _limit_lifted:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _jpeg_xl(file: Path) -> str:
    try:
        import pillow_jxl  # noqa: F401  # registers the format
    except ImportError:
        raise error(
            f"{str(file)!r} is JPEG XL, for which no decoder is installed",
            "install one with: pip install pillow-jxl-plugin; or convert the file to PNG",
        ) from None
    return "JXL"
