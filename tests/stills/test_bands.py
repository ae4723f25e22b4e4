"""Large pictures are cut without a trace."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from tests.helpers.pictures import picture as scene
from vs_srcomp.backends import Backend
from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.stills import bands, run
from vs_srcomp.stills.colour import clip_of, planes_of, rgb_to_yuv
from vs_srcomp.stills.job import PictureJob
from vs_srcomp.stills.picture import Picture

WIDTH, HEIGHT = 120, 480


@pytest.fixture(scope="module")
def picture() -> Picture:
    channels = [scene(PlaneFormat(WIDTH, HEIGHT, 8), seed).astype(np.uint8) for seed in (1, 2, 3)]
    rgb = clip_of(channels, vs.RGB24, {"_Matrix": 0, "_Range": int(vs.RANGE_FULL), "_Primaries": 1, "_Transfer": 13})
    return Picture(clip=rgb_to_yuv(rgb), bits=8, is_rgb=True)


def job(**options: Any) -> PictureJob:
    backend = Backend.OpenVINO(precision="f32", threads=1)
    return PictureJob(source=Path("in"), target=Path("out.png"), model="light", q=30, backend=backend, **options)


@pytest.mark.parametrize("ratio", ["2:1", "8:5", "4:3"])
@pytest.mark.parametrize("kind", ["4:4:4", "4:2:0", "alpha"])
def test_bands_are_the_whole(ratio: str, kind: str, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "4:2:0":
        picture = replace(picture, clip=picture.clip.resize.Bicubic(format=vs.YUV420P8))
    elif kind == "alpha":
        # What is hidden takes its colours from the whole picture.
        alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
        alpha[HEIGHT // 3 : HEIGHT // 2, WIDTH // 4 :] = 255
        picture = replace(picture, alpha=alpha)
    whole, name = run._samples(run._parts(picture, job(ratio=ratio), 30), picture, 8)
    cut = bands.bands_of(picture, job(ratio=ratio), whole=0, band=0)
    assert len(cut) > 3
    monkeypatch.setattr(run, "bands_of", lambda *_: cut)
    parts, same_name = run._samples(run._parts(picture, job(ratio=ratio), 30), picture, 8)
    assert name == same_name
    # On other sizes, a library may add in another order: a code at a place where it rounds the other way.
    difference = np.abs(parts.astype(int) - whole)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= whole.size // 10_000


def test_only_what_is_large_and_can_be_cut(picture: Picture) -> None:
    assert bands.bands_of(picture, job()) == []
    assert bands.bands_of(picture, job(width=300), whole=0) == []
    assert bands.bands_of(picture, replace(job(), ensemble=2), whole=0) == []
    uneven = replace(picture, clip=picture.clip.std.CropAbs(WIDTH, HEIGHT - 2))
    assert bands.bands_of(uneven, job(ratio="8:5"), whole=0, band=0) == []
    cut = bands.bands_of(uneven, job(), whole=0, band=0)
    assert sum(band.rows for band in cut) == 2 * (HEIGHT - 2)


def test_what_memory_cannot_hold_is_refused(picture: Picture) -> None:
    with pytest.raises(vs.Error, match=r"takes more than \d+ GB of memory.*\ngive a smaller size"):
        bands.check_fits(picture, (10_000_000, 10_000_000), 8)
    bands.check_fits(picture, (4000, 3000), 16)


def test_planes_are_views() -> None:
    with clip_of([np.full((2, 3), 7, np.uint8)], vs.GRAY8, {}).get_frame(0) as frame:
        assert planes_of(frame)[0].tolist() == [[7, 7, 7], [7, 7, 7]]
