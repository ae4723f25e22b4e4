"""EXIF in the output says what that of the source says, and nothing that it does not say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.stills.conftest import SIZE, as_it_is
from vs_srcomp.stills.picture import Metadata
from vs_srcomp.stills.run import upscale_picture
from vs_srcomp.stills.tiff import write_tiff

DESCRIPTION, EXIF_IFD, LENS, WIDTH, INTEROPERABILITY = 0x010E, 0x8769, 0xA434, 40962, 0xA005
ORIENTATION, X_RESOLUTION, RESOLUTION_UNIT = 0x0112, 0x011A, 0x0128

TEXT = "Jürgen Großmann ©"


def exif_with_text(*tags: int) -> bytes:
    """Text in UTF-8 in the directory, and in the inner one under a tag that Pillow does not know."""
    exif = Image.Exif()
    placeholder = "x" * len(TEXT.encode())
    exif[DESCRIPTION] = placeholder
    exif[EXIF_IFD] = {LENS: placeholder, WIDTH: 1, INTEROPERABILITY: {1: "R98"}}
    for tag in tags:
        exif[tag] = 1
    return exif.tobytes().replace(placeholder.encode(), TEXT.encode())


@pytest.mark.parametrize("source_name", ["in.jpg", "in.tif", "deep.tif", "in.avif"])
@pytest.mark.parametrize("name", ["out.png", "out.tif", "out.jpg", "out.webp", "out.avif"])
def test_text_keeps_its_bytes(source_name: str, name: str, unchanging: Path, tmp_path: Path) -> None:
    source, target = tmp_path / source_name, tmp_path / name
    # Pillow writes that of AVIF anew, in ASCII, if it has an orientation.
    exif = exif_with_text() if source_name == "in.avif" else exif_with_text(ORIENTATION)
    if source_name.endswith("tif"):
        samples = np.zeros((*SIZE[::-1], 3), np.uint16 if source_name == "deep.tif" else np.uint8)
        write_tiff(source, samples, Metadata(exif=exif))
    else:
        Image.new("RGB", SIZE).save(source, exif=exif)
    notes = upscale_picture(as_it_is(source, target, unchanging, depth=8)).notes
    assert not any("EXIF" in note for note in notes)
    with Image.open(target) as image:
        found = image.getexif()
        inner = found.get_ifd(EXIF_IFD)
        assert found[DESCRIPTION].encode("latin-1") == TEXT.encode()
        assert inner[LENS].encode("latin-1") == TEXT.encode()
        assert inner[WIDTH] == SIZE[0]
        assert found.get_ifd(INTEROPERABILITY) == {1: "R98"}


@pytest.mark.parametrize(
    ("options", "tags", "dpi"),
    [
        ({}, {DESCRIPTION: "words"}, None),
        ({}, {X_RESOLUTION: 300.0, RESOLUTION_UNIT: 2}, 300),
        ({"dpi": (150, 150)}, {DESCRIPTION: "words"}, 150),
    ],
)
def test_a_resolution_is_neither_made_up_nor_lost(
    options: dict[str, Any], tags: dict[int, Any], dpi: int | None, unchanging: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    Image.new("RGB", SIZE).save(tmp_path / "in.jpg", exif=exif, **options)
    upscale_picture(as_it_is(tmp_path / "in.jpg", tmp_path / "out.png", unchanging))
    with Image.open(tmp_path / "out.png") as image:
        found = image.info.get("dpi")
    assert found == (None if dpi is None else pytest.approx((dpi, dpi), rel=1e-3))


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_where_exif_alone_has_a_place_for_a_resolution(suffix: str, unchanging: Path, tmp_path: Path) -> None:
    Image.new("RGB", SIZE).save(tmp_path / "in.jpg", dpi=(150, 300))
    job = as_it_is(tmp_path / "in.jpg", tmp_path / f"out{suffix}", unchanging)
    assert upscale_picture(job).notes == ()
    with Image.open(job.target) as image:
        found = image.getexif()
    assert [found[tag] for tag in (X_RESOLUTION, X_RESOLUTION + 1, RESOLUTION_UNIT)] == [150, 300, 2]
    result = upscale_picture(as_it_is(tmp_path / "in.jpg", tmp_path / "deep.avif", unchanging, depth=10))
    assert result.notes == ("its pixels per inch are not kept: AVIF of more than 8 bits is written without them",)


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_a_resolution_joins_exif_that_has_none(suffix: str, unchanging: Path, tmp_path: Path) -> None:
    Image.new("RGB", SIZE).save(tmp_path / "in.jpg", dpi=(150, 300), exif=exif_with_text())
    job = as_it_is(tmp_path / "in.jpg", tmp_path / f"out{suffix}", unchanging)
    upscale_picture(job)
    with Image.open(job.target) as image:
        found = image.getexif()
    assert [found[tag] for tag in (X_RESOLUTION, X_RESOLUTION + 1, RESOLUTION_UNIT)] == [150, 300, 2]
    assert job.target.read_bytes().count(TEXT.encode()) == 2
