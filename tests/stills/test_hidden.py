"""What is hidden by alpha does not show in the output, and what is not stays."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image

from tests.stills.conftest import SIZE, as_it_is, luma_of
from vs_srcomp.stills.colour import clip_of, planes_of
from vs_srcomp.stills.hidden import without_hidden_colours
from vs_srcomp.stills.picture import Picture, Plane
from vs_srcomp.stills.reading import read_picture
from vs_srcomp.stills.run import upscale_picture


def disc(width: int = SIZE[0], height: int = SIZE[1]) -> NDArray[np.bool_]:
    y, x = np.mgrid[:height, :width]
    inside: NDArray[np.bool_] = np.hypot(x - width / 2, y - height / 2) < height / 3
    return inside


def pasted(colour: tuple[int, ...], hidden: tuple[int, ...]) -> NDArray[np.uint8]:
    """A disc of one colour before hidden samples of another one."""
    return np.where(disc()[:, :, None], (*colour, 255), (*hidden, 0)).astype(np.uint8)


def grey(plane: NDArray[Any], alpha: Plane) -> Picture:
    return Picture(clip=clip_of([plane], vs.GRAY8, {"_Range": int(vs.RANGE_FULL)}), bits=8, alpha=alpha)


@pytest.mark.parametrize("name", ["in.png", "in.gif", "in.webp", "in.tif"])
def test_an_edge_is_not_dark(name: str, unchanging: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"lossless": True, "exact": True} if name == "in.webp" else {}
    Image.fromarray(pasted((255, 255, 255), (0, 0, 0))).save(tmp_path / name, **options)
    job = as_it_is(tmp_path / name, tmp_path / "out.png", unchanging, width=None, ratio="2:1")
    upscale_picture(job)
    with Image.open(job.target) as image:
        shown = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        assert np.asarray(image.getchannel("A")).min() == 0
    assert np.asarray(shown).min() == 255


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("size", [SIZE, (95, 63)])
def test_shared_chroma_is_continued_where_nothing_of_it_is_visible(
    subsampling: str, size: tuple[int, int], tmp_path: Path
) -> None:
    rgba = pasted((200, 60, 60), (0, 0, 255))[: size[1], : size[0]]
    Image.fromarray(rgba).save(tmp_path / "in.avif", subsampling=subsampling, quality=95)
    picture = read_picture(tmp_path / "in.avif")
    assert picture.alpha is not None
    continued = without_hidden_colours(picture).clip
    with picture.clip.get_frame(0) as before, continued.get_frame(0) as after:
        for number, (old, new) in enumerate(zip(planes_of(before), planes_of(after), strict=True)):
            step = picture.alpha.shape[0] // old.shape[0]
            assert step == (2 if number and subsampling == "4:2:0" and size == SIZE else 1)
            visible = picture.alpha.reshape(old.shape[0], step, old.shape[1], step).max((1, 3)) > 0
            np.testing.assert_array_equal(new[visible], old[visible])
            # Of chroma that visible samples share with hidden ones, the encoder has mixed both.
            inside = np.median(old[visible])
            assert np.abs(new[~visible] - inside).max() < 0.5 * np.abs(np.median(old[~visible]) - inside)


def test_other_samples_stay() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 256, (67, 93), np.uint8)
    alpha = rng.integers(0, 3, codes.shape, np.uint8) * np.uint8(100)
    after = luma_of(without_hidden_colours(grey(codes, alpha)).clip)
    np.testing.assert_array_equal(after[alpha > 0], codes[alpha > 0])
    assert np.abs(after[alpha == 0].astype(int) - codes[alpha == 0]).mean() > 10


@pytest.mark.parametrize("alpha", [0, 1, 255])
def test_a_picture_that_hides_nothing_or_all_is_left_alone(alpha: int) -> None:
    picture = grey(np.full((8, 8), 7, np.uint8), np.full((8, 8), alpha, np.uint8))
    assert without_hidden_colours(picture) is picture
    opaque = replace(picture, alpha=None)
    assert without_hidden_colours(opaque) is opaque


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (5, 1), (7, 9), (64, 130), (67, 129)])
def test_one_visible_sample_is_continued_to_all_corners(size: tuple[int, int]) -> None:
    alpha, codes = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    alpha[size[0] // 2, size[1] // 2], codes[size[0] // 2, size[1] // 2] = 1, 201
    assert (luma_of(without_hidden_colours(grey(codes, alpha)).clip) == 201).all()


@pytest.mark.parametrize("edge", [64, 99, 102, 128])
def test_what_is_hidden_is_like_the_edge_beside_it(edge: int) -> None:
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None], (200, 300)).copy()
    alpha = np.zeros_like(ramp)
    alpha[:, :edge], ramp[:, edge:] = 255, 0
    after = luma_of(without_hidden_colours(grey(ramp, alpha)).clip).astype(int)
    # Means over ever more of 200 rows, on which the ramp has its own number as long as they are in it.
    for distance, limit in ((1, 1), (4, 2), (16, 10)):
        assert np.abs(after[20:-20, edge - 1 + distance] - np.arange(20, 180)).max() <= limit
    assert np.ptp(after[:, -1]) < 50
    assert np.abs(np.diff(after[20:-20, edge - 1 :], axis=1)).max() <= 2


def test_samples_that_hardly_show_count_little() -> None:
    codes, alpha = np.full((32, 32), 100, np.uint8), np.full((32, 32), 255, np.uint8)
    codes[:, 16], alpha[:, 16] = 0, 2
    alpha[:, 17:] = 0
    assert luma_of(without_hidden_colours(grey(codes, alpha)).clip)[:, 17:].min() > 95
