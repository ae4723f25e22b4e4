"""How strongly pictures were compressed."""

from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray
from PIL import Image

from vs_srcomp.stills.colour import clip_of
from vs_srcomp.stills.encoding import write_deep_avif
from vs_srcomp.stills.level import jpeg_scale, level_of
from vs_srcomp.stills.picture import Tags
from vs_srcomp.stills.reading import read_picture
from vs_srcomp.stills.vp8 import quantizer_index


def test_libjpegs_quality_is_read_from_the_tables(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    file = tmp_path / "in.jpg"
    for quality, percent in ((25, 200), (50, 100), (75, 50), (90, 20)):
        Image.fromarray(rgb).save(file, quality=quality)
        with Image.open(file) as image:
            assert jpeg_scale(image) == pytest.approx(percent, rel=0.02)


@pytest.mark.parametrize("name", ["in.jpg", "in.webp", "in.avif"])
def test_less_quality_is_a_higher_level(name: str, rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    file = tmp_path / name
    levels = []
    for quality in (95, 80, 60, 30, 10):
        Image.fromarray(rgb).save(file, quality=quality)
        level = read_picture(file).q
        assert level is not None
        levels.append(level)
    assert levels == sorted(levels)
    assert levels[-1] - levels[0] > 15
    assert 0 <= levels[0] <= levels[-1] <= 63


def test_avif_has_its_quantizer(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    full = clip_of([rgb[:, :, channel] for channel in range(3)], vs.RGB24, {"_Matrix": 0, "_Range": 1})
    clip = full.resize.Bicubic(format=vs.YUV420P10, matrix=1, range_s="limited")
    for crf in (20, 50):
        write_deep_avif(tmp_path / "in.avif", clip, Tags(1, 13), round(100 - crf * 100 / 63))
        # SVT-AV1 keeps to it for a single picture, but for a step or two.
        assert read_picture(tmp_path / "in.avif").q == pytest.approx(crf, abs=3)


def test_what_is_without_loss_has_no_level(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    image = Image.fromarray(rgb)
    for name in ("in.png", "in.tif", "in.webp"):
        image.save(tmp_path / name, **({"lossless": True} if name == "in.webp" else {}))  # type: ignore[arg-type]
        assert read_picture(tmp_path / name).q is None
    assert quantizer_index(tmp_path / "in.webp") is None


def test_damaged_webp_has_none(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    file = tmp_path / "in.webp"
    Image.fromarray(rgb).save(file, quality=50)
    data = file.read_bytes()
    start = data.index(b"VP8 ") + 8
    file.write_bytes(data[: start + 3] + b"\0\0\0" + data[start + 6 :])
    assert quantizer_index(file) is None


def test_level_of_other_kinds(rgb: NDArray[np.uint8], tmp_path: Path) -> None:
    file = tmp_path / "in.bmp"
    Image.fromarray(rgb).save(file)
    with Image.open(file) as image:
        assert level_of(image, file) is None
