"""PNG files, against FFmpeg's decoder, Pillow's, and zlib's own check of the whole stream."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.stills.conftest import decoded
from vs_srcomp.stills.picture import Metadata
from vs_srcomp.stills.png import write_png

PIXEL_FORMATS = {
    (1, 8): "gray",
    (2, 8): "ya8",
    (3, 8): "rgb24",
    (4, 8): "rgba",
    (1, 16): "gray16le",
    (2, 16): "ya16le",
    (3, 16): "rgb48le",
    (4, 16): "rgba64le",
}
LARGE = (903, 1201)
"""Height and width of pictures of several strips, the last of which is another one's size."""


def picture_of(height: int, width: int, count: int, bits: int) -> NDArray[Any]:
    """A ramp with noise in its lower half."""
    rng = np.random.default_rng(count)
    peak = (1 << bits) - 1
    ramp = np.linspace(0, peak - 8, height * width * count).reshape(height, width, count)
    samples = ramp.astype(f"u{bits // 8}")
    samples[height // 2 :] += rng.integers(0, 8, samples[height // 2 :].shape, samples.dtype)
    return samples[:, :, 0] if count == 1 else samples


@pytest.mark.parametrize("size", [LARGE, (1, 1), (2, 1), (3, 70_000)])
@pytest.mark.parametrize(("count", "bits"), PIXEL_FORMATS)
def test_samples_come_back(size: tuple[int, int], count: int, bits: int, tmp_path: Path) -> None:
    samples = picture_of(*size, count, bits)
    file = tmp_path / "out.png"
    write_png(file, samples, Metadata())
    np.testing.assert_array_equal(decoded(file, PIXEL_FORMATS[count, bits]).reshape(samples.shape), samples)
    if bits == 8:
        with Image.open(file) as image:
            np.testing.assert_array_equal(np.asarray(image), samples)


@pytest.mark.parametrize("size", [LARGE, (1, 1)])
@pytest.mark.parametrize("bits", [8, 16])
def test_it_is_one_stream_whose_checksum_is_right(size: tuple[int, int], bits: int, tmp_path: Path) -> None:
    samples = picture_of(*size, 3, bits)
    write_png(tmp_path / "out.png", samples, Metadata())
    chunks = chunks_of((tmp_path / "out.png").read_bytes())
    data = [content for kind, content in chunks if kind == b"IDAT"]
    assert len(data) > 3 or size != LARGE
    raw = zlib.decompress(b"".join(data))  # which raises an error where Adler-32 is wrong
    assert len(raw) == size[0] * (1 + samples[0].nbytes)


def test_files_are_not_larger_than_those_of_pillow(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    with Image.fromarray(rgb) as small:
        large = small.resize((1536, 1024), Image.Resampling.LANCZOS)
    large.save(tmp_path / "pillow.png", compress_level=3)
    write_png(tmp_path / "out.png", np.asarray(large), Metadata())
    assert (tmp_path / "out.png").stat().st_size < 1.05 * (tmp_path / "pillow.png").stat().st_size


def chunks_of(png: bytes) -> list[tuple[bytes, bytes]]:
    """Chunks by name, each of which has the right CRC."""
    found = []
    at = 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + content) == int.from_bytes(png[at + 8 + length : at + 12 + length], "big")
        found.append((kind, content))
        at += 12 + length
    return found
