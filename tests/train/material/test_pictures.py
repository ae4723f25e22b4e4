"""Picture files: what is read of them, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.material.pictures import clip_planes, list_pictures, read_rgb8, read_yuv420, size_of


@pytest.mark.parametrize("limit", [64 * 64 - 1, 64 * 64 // 2 - 1])
def test_a_picture_above_the_size_limit_is_named(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (64, 64)).save(path)
    assert size_of(path) == (64, 64)
    # Pillow warns above its limit, and raises above twice of it.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    for read in (size_of, read_rgb8):
        with pytest.raises(ValueError, match=r"large\.png: not a readable picture \(Image size"):
            read(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "I;16"])
def test_any_kind_of_picture_is_read(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.tif"
    if mode == "I;16":
        Image.fromarray(np.full((20, 40), 52428, np.uint16)).save(path)
    else:
        Image.new("RGB", (40, 20), (204, 204, 204)).convert(mode).save(path)
    clip = read_yuv420(path)
    assert (clip.width, clip.height) == (32, 16)
    # 204 is in the web palette, so that palette files hold it too; in limited range it is 16 + 219 * 204 / 255 = 191.
    assert abs(int(clip_planes(clip)[0][8, 8]) - 191) <= 1


def test_a_turned_picture_is_turned_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 32)).save(path, exif=exif)
    clip = read_yuv420(path)
    assert (clip.width, clip.height) == (32, 64)


def test_what_cannot_be_used_is_reported(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"text.png: not a readable picture"):
        read_yuv420(tmp_path / "text.png")
    Image.new("RGB", (40, 15)).save(tmp_path / "tiny.png")
    with pytest.raises(ValueError, match="40x15 is smaller than 16x16"):
        read_yuv420(tmp_path / "tiny.png")


def test_pictures_come_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.png", "2.png", "1.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in list_pictures(tmp_path)] == ["1.png", "2.png", "10.png"]
