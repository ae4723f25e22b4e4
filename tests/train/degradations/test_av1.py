from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.degradations.av1 import PAIRS, Pair, decode, encode, make_streams, pair_by_slug, stream_path
from train.material.pictures import clip_planes, list_pictures, read_yuv420
from vs_srcomp.geometry import ratio_by_name


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:96, :112]
    rgb = 128 + 60 * np.sin(x / 5)[..., None] + 40 * np.cos(y / 7)[..., None] + rng.normal(0, 6, (96, 112, 3))
    path = tmp_path / "pictures" / "wave.png"
    path.parent.mkdir()
    Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.slug)
def test_the_stream_is_smaller_by_the_ratio_and_close_to_the_picture(picture: Path, pair: object) -> None:
    pair = pair_by_slug(pair.slug)  # type: ignore[attr-defined]
    clip = read_yuv420(picture)
    decoded = decode(encode(clip, pair, cpu_used=8))
    assert (decoded.width, decoded.height) == (112 / pair.ratio.factor, 96 / pair.ratio.factor)
    assert abs(clip_planes(decoded)[0].mean() - clip_planes(clip)[0].mean()) < 1.5


def test_a_pair_has_any_level_of_av1() -> None:
    assert pair_by_slug("8by5-q25") == Pair(ratio_by_name("8:5"), 25)
    for wrong in ("8by5-q64", "8by5-q-1", "3by1-q40", "8by5"):
        with pytest.raises(ValueError, match=f"no pair is called '{wrong}': give a ratio and a level of 0 to 63"):
            pair_by_slug(wrong)


def test_streams_are_the_same_every_time_and_made_once(picture: Path, tmp_path: Path) -> None:
    pairs = [pair_by_slug("2by1-q40")]
    for folder in ("a", "b"):
        make_streams(picture.parent, tmp_path / folder, pairs, cpu_used=8, processes=1)
    first, second = (stream_path(tmp_path / folder, pairs[0], picture) for folder in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    first.write_bytes(b"kept")
    make_streams(picture.parent, tmp_path / "a", pairs, cpu_used=8, processes=1)
    assert first.read_bytes() == b"kept"


def test_another_picture_of_the_same_name_is_coded_too(picture: Path, tmp_path: Path) -> None:
    pair = pair_by_slug("2by1-q40")
    make_streams(picture.parent, tmp_path / "a", [pair], cpu_used=8, processes=1)
    other = tmp_path / "other" / picture.name
    other.parent.mkdir()
    with Image.open(picture) as image:
        image.rotate(180).save(other)
    make_streams(other.parent, tmp_path / "a", [pair], cpu_used=8, processes=1)
    first, second = (stream_path(tmp_path / "a", pair, path) for path in (picture, other))
    assert first != second
    assert first.read_bytes() != second.read_bytes()


def test_stronger_compression_takes_fewer_bytes(picture: Path) -> None:
    clip = read_yuv420(picture)
    sizes = [len(encode(clip, pair, cpu_used=8)) for pair in PAIRS if pair.ratio.name == "2:1"]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


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
