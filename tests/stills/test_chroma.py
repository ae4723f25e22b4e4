"""Where chroma lies on luma: colours must not move, whatever the file states or leaves to its readers."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from PIL import Image

from tests.helpers.pictures import WAVE, place_of_waves, red_and_blue
from tests.stills.conftest import as_it_is
from tests.tolerances import TWO_CODES
from vs_srcomp.batch.sequence import upscale_sequence
from vs_srcomp.stills.colour import planes_of, to_rgb
from vs_srcomp.stills.picture import Tags
from vs_srcomp.stills.reading import read_picture
from vs_srcomp.stills.run import upscale_picture

# In pixels; chroma on the left of where it belongs is half a pixel off.
LITTLE = 0.1


def place_in(file: Path) -> float:
    """Where Pillow has the waves of red over blue."""
    with Image.open(file) as image:
        rgb = np.asarray(image.convert("RGB")).astype(int)
    return place_of_waves(rgb[:, :, 0] - rgb[:, :, 2], WAVE * rgb.shape[1] / 64)


@pytest.mark.parametrize(
    ("name", "options", "subsampling"),
    [
        ("in.webp", {}, (1, 1)),
        ("in.jpg", {"subsampling": "4:2:0"}, (1, 1)),
        ("in.jpg", {"subsampling": "4:2:2"}, (1, 0)),
        ("in.avif", {"subsampling": "4:2:0"}, (1, 1)),
        ("in.avif", {"subsampling": "4:2:2"}, (1, 0)),
        ("in.avif", {"subsampling": "4:4:4"}, (0, 0)),
    ],
)
@pytest.mark.parametrize("height", [48, 47])
def test_colours_are_where_other_readers_have_them(
    name: str, options: dict[str, Any], subsampling: tuple[int, int], height: int, tmp_path: Path
) -> None:
    Image.fromarray(red_and_blue(height=height)).save(tmp_path / name, quality=98, **options)
    picture = read_picture(tmp_path / name)
    assert picture.subsampling == subsampling
    with to_rgb(picture.clip, 8).get_frame(0) as frame:
        red, _, blue = (plane.astype(int) for plane in planes_of(frame))
    assert place_of_waves(red - blue, WAVE) == pytest.approx(place_in(tmp_path / name), abs=LITTLE)


def test_colours_of_an_animation_are_there_too(unchanging: Path, tmp_path: Path) -> None:
    frame = Image.fromarray(red_and_blue())
    frame.save(tmp_path / "in.avif", save_all=True, append_images=[frame], quality=98)
    upscale_sequence(as_it_is(tmp_path / "in.avif", tmp_path / "%d.png", unchanging, width=64))
    assert place_in(tmp_path / "2.png") == pytest.approx(0, abs=LITTLE)


@pytest.mark.parametrize("orientation", [1, 3])
def test_colours_of_ten_bits_are_written_where_readers_have_them(
    orientation: int, unchanging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if there were SVT-AV1 alone
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = red_and_blue()[:, :: -1 if orientation == 3 else 1]
    Image.fromarray(turned).save(tmp_path / "in.png", exif=exif)
    job = as_it_is(tmp_path / "in.png", tmp_path / "out.avif", unchanging, width=64, depth=10, quality=98)
    assert upscale_picture(job).bits == 10
    assert place_in(tmp_path / "out.avif") == pytest.approx(0, abs=LITTLE)


def test_chroma_keeps_its_size_where_that_of_the_picture_is_odd(unchanging: Path, tmp_path: Path) -> None:
    Image.fromarray(red_and_blue(41, 30)).save(tmp_path / "in.jpg", subsampling="4:2:0")
    assert read_picture(tmp_path / "in.jpg").clip.format.id == vs.YUV444P8
    upscale_picture(as_it_is(tmp_path / "in.jpg", tmp_path / "out.jpg", unchanging, width=82))
    assert read_picture(tmp_path / "out.jpg").subsampling == (1, 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (1, 3)])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_avif_of_one_row_or_column_has_its_colours(
    size: tuple[int, int], subsampling: str, unchanging: Path, tmp_path: Path
) -> None:
    file = tmp_path / "in.avif"
    Image.new("RGB", size, (200, 60, 90)).save(file, quality=95, subsampling=subsampling)
    assert read_picture(file).metadata.tags == Tags(1, 13)
    upscale_picture(as_it_is(file, tmp_path / "out.png", unchanging, width=size[0]))
    with Image.open(file) as before, Image.open(tmp_path / "out.png") as after:
        assert after.size == size
        assert np.abs(np.asarray(before).astype(int) - np.asarray(after)).max() <= TWO_CODES
