"""Picture files as 4:2:0 originals."""

import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image, ImageOps

type Plane = NDArray[np.uint8]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})

# 8:5 needs width and height divisible by 16 for an even, exact 4:2:0 source; 2:1 and 4:3 need less.
SIZE_MULTIPLE = 16


def list_pictures(folder: Path) -> list[Path]:
    """The picture files directly in ``folder``, in natural order ("2.png" before "10.png")."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(files, key=_natural)


def checksum(picture: Path) -> str:
    """CRC-32 of a picture file, in hexadecimal: part of the names of its streams, so that no other picture has them."""
    stat = picture.stat()
    return _checksum(picture, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1024)
def _checksum(picture: Path, size: int, changed: int) -> str:
    """Of the picture's content; ``size`` and ``changed`` tell one state of the file from another."""
    return f"{zlib.crc32(picture.read_bytes()):08x}"


def checksum_of(frames: Iterable[Iterable[Plane]]) -> str:
    """As `checksum`, of frames in memory."""
    sum_ = 0
    for planes in frames:
        for plane in planes:
            sum_ = zlib.crc32(np.ascontiguousarray(plane), sum_)
    return f"{sum_:08x}"


def check_names(paths: Iterable[Path]) -> None:
    """Check that no two of ``paths`` have the same name without suffix, which names their streams.

    Raises:
        ValueError: Two have.
    """
    by_name: dict[str, Path] = {}
    for path in paths:
        if path.stem in by_name:
            raise ValueError(f"{by_name[path.stem]} and {path} have the same name: rename one")
        by_name[path.stem] = path


def some_pictures(folder: Path) -> list[Path]:
    """The result of `list_pictures`; ValueError if it is empty."""
    found = list_pictures(folder)
    if not found:
        raise ValueError(
            f"no pictures are in {folder}: give a folder with {', '.join(sorted(SUFFIXES))} files directly in it"
        )
    return found


def _natural(path: Path) -> tuple[int, str, str]:
    return len(path.stem) if path.stem.isdigit() else 0, path.stem, path.name


def read_yuv420(path: Path, scale: float = 1.0) -> vs.VideoNode:
    """Read a picture as a one-frame YUV420P8 clip, BT.709 limited range, at ``scale`` times its size (0 to 1).

    EXIF rotation is applied; alpha is dropped; 16-bit, palette and CMYK files are converted to 8-bit RGB. The picture
    is then cropped (right and bottom) to a multiple of 16, so that every ratio has an exact source size.

    Raises:
        ValueError: The file is not a readable picture, is smaller than 16x16, or exceeds Pillow's safety limit of 89
            million pixels.
    """
    rgb = scaled_rgb(read_rgb8(path), scale)
    try:
        return rgb_to_yuv420(rgb)
    except ValueError as reason:
        raise ValueError(f"{path.name}: {reason}") from None


def rgb_to_yuv420(rgb: Plane) -> vs.VideoNode:
    """Convert ``rgb``, (H, W, 3), to a one-frame YUV420P8 clip, BT.709 limited range, cropped to a multiple of 16.

    Raises:
        ValueError: It is smaller than 16x16.
    """
    height, width = (size // SIZE_MULTIPLE * SIZE_MULTIPLE for size in rgb.shape[:2])
    if not (height and width):
        raise ValueError(f"{rgb.shape[1]}x{rgb.shape[0]} is smaller than {SIZE_MULTIPLE}x{SIZE_MULTIPLE}")
    clip = planes_to_clip([rgb[:height, :width, channel] for channel in range(3)], vs.RGB24)
    return clip.resize.Bicubic(format=vs.YUV420P8, matrix_s="709", range_s="limited")


def scaled_rgb(rgb: Plane, scale: float) -> Plane:
    """Resize ``rgb``, (H, W, 3), by ``scale``; at 1 return it unchanged."""
    if scale == 1:
        return rgb
    height, width = (max(1, round(size * scale)) for size in rgb.shape[:2])
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture file, from its header; ValueError if it is not readable or too large."""
    with _opened(path) as file:
        return file.size


def read_rgb8(path: Path) -> Plane:
    """Read a picture file as (H, W, 3); ValueError if it is not readable or too large, as in `read_yuv420`."""
    with _opened(path) as file:
        return np.asarray(_to_rgb8(ImageOps.exif_transpose(file)))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture file, which the block reads; ValueError if it is not readable or too large, as in `read_yuv420`."""
    try:
        with warnings.catch_warnings():
            # Of Pillow's warnings, only that about the size matters here.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                yield file
    except Exception as reason:  # Pillow's parsers raise anything on damaged files, from struct.error to MemoryError
        raise ValueError(f"{path.name}: not a readable picture ({reason})") from reason


def _to_rgb8(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow would clip 16-bit grey, not scale it.
        samples = np.asarray(image, dtype=np.int64)
        if samples.min() < 0 or samples.max() > 0xFFFF:
            raise ValueError("samples of 32 bits, whose range is not specified")
        return Image.fromarray((samples >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point samples, whose range is not specified")
    return image.convert("RGB")


def planes_to_clip(planes: list[Plane], format_id: int) -> vs.VideoNode:
    """A one-frame clip of copies of ``planes``, with the size of the first."""
    height, width = planes[0].shape
    frame = vs.core.create_video_frame(vs.core.get_video_format(format_id), width, height)
    for index, plane in enumerate(planes):
        np.asarray(frame[index])[...] = plane
    blank = vs.core.std.BlankClip(format=format_id, width=width, height=height, length=1, keep=True)
    return blank.std.ModifyFrame(blank, lambda n, f: frame)


def clip_planes(clip: vs.VideoNode) -> list[Plane]:
    """Copies of the planes of the first frame of ``clip``."""
    with clip.get_frame(0) as frame:
        return [np.array(frame[index]) for index in range(frame.format.num_planes)]


def each_luma(folder: Path) -> Iterator[tuple[Path, Plane]]:
    """File and luma plane of each picture in ``folder``."""
    for path in some_pictures(folder):
        yield path, clip_planes(read_yuv420(path))[0]
