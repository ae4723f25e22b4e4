"""Luma is that of the video path, to the bit, and nothing else goes through the network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image

import vs_srcomp
from tests.stills.conftest import luma_of
from vs_srcomp.resample import lanczos5
from vs_srcomp.stills.job import PictureJob
from vs_srcomp.stills.reading import read_picture
from vs_srcomp.stills.run import enlarged

Q = 30.0


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("in.jpg", {"quality": 60}),
        ("444.jpg", {"quality": 80, "subsampling": 0}),
        ("grey.jpg", {"quality": 80}),
        ("in.webp", {"quality": 60}),
        ("in.avif", {"quality": 60}),
        ("444.avif", {"quality": 60, "subsampling": "4:4:4"}),
    ],
)
def test_luma_of_coded_pictures(
    name: str, settings: dict[str, Any], rgb: NDArray[np.uint8], changing: Path, tmp_path: Path
) -> None:
    file = tmp_path / name
    image = Image.fromarray(rgb)
    (image.convert("L") if name.startswith("grey") else image).save(file, **settings)
    made = enlarged(read_picture(file), PictureJob(source=file, target=file, model=changing), Q)
    video = vs_srcomp.upscale(vs_srcomp.source(file), model=changing, q=Q)
    assert (made.format.id, made.width, made.height) == (video.format.id, video.width, video.height)
    np.testing.assert_array_equal(luma_of(made), luma_of(video))
    assert not np.array_equal(luma_of(made), luma_of(lanczos5(vs_srcomp.source(file), made.width, made.height)))


def test_luma_of_rgb(rgb: NDArray[np.uint8], changing: Path, tmp_path: Path) -> None:
    file = tmp_path / "in.png"
    Image.fromarray(rgb).save(file)
    made = enlarged(read_picture(file), PictureJob(source=file, target=file, model=changing, ratio="8:5"), Q)
    clip = vs_srcomp.source(file).resize.Point(format=vs.YUV444P16, matrix_s="709", range_s="limited")
    video = vs_srcomp.upscale(clip, model=changing, q=Q, ratio="8:5")
    linear = lanczos5(clip, video.width, video.height)
    np.testing.assert_array_equal(luma_of(made), luma_of(video))
    for plane in (1, 2):
        np.testing.assert_array_equal(
            luma_of(made.std.ShufflePlanes(plane, vs.GRAY)), luma_of(linear.std.ShufflePlanes(plane, vs.GRAY))
        )


@pytest.mark.parametrize("name", ["odd.jpg", "odd.avif", "odd.webp"])
def test_odd_sizes_are_whole(name: str, rgb: NDArray[np.uint8], changing: Path, tmp_path: Path) -> None:
    """Subsampled chroma of a video ends at even sizes; a picture has its last row and column."""
    file = tmp_path / name
    Image.fromarray(rgb[:63, :95]).save(file, quality=80, **({"subsampling": "4:2:0"} if name != "odd.webp" else {}))
    picture = read_picture(file)
    assert (picture.clip.width, picture.clip.height) == (95, 63)
    cut = vs_srcomp.source(file)
    assert (cut.width, cut.height) == (94, 62)
    np.testing.assert_array_equal(luma_of(picture.clip)[:62, :94], luma_of(cut))
    # The last column is a photograph's own, not a copy of the one before it.
    assert np.abs(luma_of(picture.clip)[:, 94].astype(int) - luma_of(picture.clip)[:, 93]).max() > 0
    made = enlarged(picture, PictureJob(source=file, target=file, model=changing), Q)
    assert (made.width, made.height) == (190, 126)


def test_a_picture_in_tiles_has_the_level_of_its_tiles(shared_data: Path) -> None:
    file = shared_data / "faults" / "J-grid.avif"
    picture = read_picture(file)
    assert (picture.clip.width, picture.clip.height) == (256, 256)
    assert picture.q == 25
    with Image.open(file) as image:
        shown = np.asarray(image.convert("L")).astype(int)
    assert np.abs(luma_of(picture.clip).astype(int) - shown).mean() < 3
