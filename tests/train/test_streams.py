"""Streams of pictures: made once, and for each picture of its own."""

from pathlib import Path

import pytest
from PIL import Image

from tests.train.photographs import write_photographs
from train.coding import encode
from train.material.pictures import read_yuv420
from train.pairs import pair_by_slug
from train.streams import make_streams, stream_of, stream_path

PAIR = pair_by_slug("2by1-q40")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """The only picture of its folder."""
    return write_photographs(tmp_path / "pictures", 1, 112, 96) / "0.png"


def test_streams_are_the_same_every_time_and_made_once(picture: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        make_streams(picture.parent, tmp_path / folder, [PAIR], cpu_used=8, processes=1)
    first, second = (stream_path(tmp_path / folder, PAIR, picture) for folder in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    first.write_bytes(b"kept")
    make_streams(picture.parent, tmp_path / "a", [PAIR], cpu_used=8, processes=1)
    assert first.read_bytes() == b"kept"


def test_another_picture_of_the_same_name_is_coded_too(picture: Path, tmp_path: Path) -> None:
    make_streams(picture.parent, tmp_path / "a", [PAIR], cpu_used=8, processes=1)
    other = tmp_path / "other" / picture.name
    other.parent.mkdir()
    with Image.open(picture) as image:
        image.rotate(180).save(other)
    make_streams(other.parent, tmp_path / "a", [PAIR], cpu_used=8, processes=1)
    first, second = (stream_path(tmp_path / "a", PAIR, path) for path in (picture, other))
    assert first != second
    assert first.read_bytes() != second.read_bytes()


def test_the_stream_of_one_picture_is_made_where_others_are_and_once(picture: Path, tmp_path: Path) -> None:
    clip = read_yuv420(picture)
    coded = encode(clip, PAIR, 8)
    path = stream_path(tmp_path / "a", PAIR, picture)
    assert stream_of(picture, clip, PAIR, tmp_path / "a", 8) == coded == path.read_bytes()
    path.write_bytes(b"kept")
    assert stream_of(picture, clip, PAIR, tmp_path / "a", 8) == b"kept"
