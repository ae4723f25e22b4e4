"""Every degradation in the registry: sizes, randomness from the seed alone, where the small picture lies."""

import pickle
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from PIL import Image, features

from tests.tolerances import TWO_CODES
from train.degradations import DEGRADATIONS
from train.degradations.degradation import Picture, covered
from train.degradations.resample import bicubic, lanczos5
from train.material.pictures import clip_planes, planes_to_clip
from vs_srcomp.resample import lanczos5 as playback_lanczos5

MIXTURE = {"parts": [{"name": "jpeg", "highest": 40}, {"name": "webp", "share": 2, "lowest": 50}]}
EACH: list[Any] = [
    ("bicubic", {}),
    ("blur-decimate", {}),
    ("unknown", {}),
    ("jpeg", {}),
    ("webp", {}),
    pytest.param("avif", {}, marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")),
    ("mixture", MIXTURE),
]


def smooth_picture(height: int = 101, width: int = 122) -> Picture:
    """Waves of 16 to 40 pixels: a picture that every reduction keeps."""
    down, right = np.mgrid[:height, :width]
    waves = np.sin(down / 4) * np.cos(right / 5) + np.sin((down + right) / 6)
    return np.asarray(128 + 45 * waves, np.uint8)


def rgb(picture: Picture) -> Picture:
    return np.stack((picture, picture // 2 + 60, picture // 3 * 2 + 20), -1)


@pytest.mark.parametrize(("name", "parameters"), EACH)
@pytest.mark.parametrize("ratio", [2, 3, 4])
@pytest.mark.parametrize("colour", [False, True])
def test_a_picture_becomes_ratio_times_smaller_and_stays_where_it_is(
    name: str, parameters: dict[str, Any], ratio: int, colour: bool
) -> None:
    picture = rgb(smooth_picture()) if colour else smooth_picture()
    if name in ("jpeg", "webp", "avif"):
        parameters = {"lowest": 95, "highest": 95}
    if name == "mixture":
        parameters = {"parts": [{"name": "jpeg"}, {"name": "webp"}], "lowest": 95, "highest": 95}
    degrade = DEGRADATIONS.make(name, **parameters, ratio=ratio)
    degraded = degrade(picture, np.random.default_rng(1))
    assert degraded.input.dtype == np.uint8
    assert degraded.input.shape == (101 // ratio, 122 // ratio, *picture.shape[2:])
    assert degraded.ratio == ratio
    original = covered(picture, degraded)
    assert original.shape[:2] == (101 // ratio * ratio, 122 // ratio * ratio)
    # A shift by one pixel alone makes an error of 7 codes. Codecs halve the chroma planes.
    tolerance = {"bicubic": 1.0, "blur-decimate": 1.5, "unknown": 9.0}.get(name, 6.0 if colour else 3.0)
    enlarged = lanczos5(degraded.input, *original.shape[:2])
    error = (enlarged.astype(float) - original)[8 * ratio : -8 * ratio, 8 * ratio : -8 * ratio]
    assert np.sqrt(np.mean(error**2)) < tolerance


@pytest.mark.parametrize(("name", "parameters"), EACH)
def test_the_seed_alone_decides(name: str, parameters: dict[str, Any]) -> None:
    picture = smooth_picture()
    degrade = DEGRADATIONS.make(name, **parameters)
    first = degrade(picture, np.random.default_rng(7)).input
    # As a worker process has it.
    again = pickle.loads(pickle.dumps(degrade))(picture, np.random.default_rng(7)).input
    np.testing.assert_array_equal(first, again)
    if name not in ("bicubic", "blur-decimate"):
        others = [degrade(picture, np.random.default_rng(seed)).input for seed in range(4)]
        assert any(not np.array_equal(first, other) for other in others)


@pytest.mark.parametrize(("name", "parameters"), EACH)
def test_an_enlarged_picture_has_the_old_size_cut_to_the_ratio(name: str, parameters: dict[str, Any]) -> None:
    picture = smooth_picture()
    degraded = DEGRADATIONS.make(name, **parameters, ratio=3, enlarged=True)(picture, np.random.default_rng(1))
    assert degraded.input.shape == (99, 120)
    assert degraded.ratio == 1
    assert covered(picture, degraded).shape == (99, 120)


def test_several_ratios_are_drawn_from() -> None:
    degrade = DEGRADATIONS.make("bicubic", ratio=[2, 3, 4], enlarged=True)
    shapes = {degrade(smooth_picture(), np.random.default_rng(seed)).input.shape for seed in range(20)}
    assert shapes == {(100, 122), (99, 120), (100, 120)}


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_the_clean_picture_is_the_one_before_the_codec(name: str) -> None:
    picture = smooth_picture()
    degraded = DEGRADATIONS.make(name, lowest=5, highest=5)(picture, np.random.default_rng(1))
    assert degraded.clean is not None
    np.testing.assert_array_equal(degraded.clean, bicubic(picture[:100, :122], 50, 61))
    assert not np.array_equal(degraded.clean, degraded.input)


def test_a_higher_quality_is_nearer_to_the_clean_picture() -> None:
    def error(quality: int) -> float:
        degrade = DEGRADATIONS.make("jpeg", lowest=quality, highest=quality)
        degraded = degrade(smooth_picture(), np.random.default_rng(1))
        assert degraded.clean is not None
        return float(np.mean((degraded.input.astype(float) - degraded.clean) ** 2))

    assert error(10) > error(50) > error(95)


def test_a_mixture_draws_by_share() -> None:
    parts = [{"name": "jpeg", "lowest": 1, "highest": 1, "share": 3}, {"name": "bicubic"}]
    degrade = DEGRADATIONS.make("mixture", parts=parts)
    rng = np.random.default_rng(1)
    coded = sum(degrade(smooth_picture(24, 24), rng).clean is not None for _ in range(400))
    assert coded == pytest.approx(300, abs=40)


def test_bicubic_is_that_of_matlab() -> None:
    # imresize(uint8([0 0 0 0 255 255 255 255]), 0.5) by hand: Keys's cubic with a = -0.5, twice as wide.
    row = np.array([[0, 0, 0, 0, 255, 255, 255, 255]] * 2, np.uint8)
    places = (np.arange(8) + 0.5)[None] / 2 - (np.arange(4) + 0.5)[:, None]
    x = np.abs(places)
    weights = np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))
    # Pillow leaves out what lies beyond the border, Matlab mirrors it: here, far from the step, both are the same.
    expected = np.clip(np.rint((weights / weights.sum(1, keepdims=True)) @ row[0]), 0, 255)
    np.testing.assert_array_equal(bicubic(row, 1, 4)[0], expected)


def test_thin_lines_survive_decimation_wherever_they_lie() -> None:
    degrade = DEGRADATIONS.make("blur-decimate", ratio=2)
    for column in (40, 41):
        picture = np.full((64, 96), 30, np.uint8)
        picture[:, column] = 230
        small = degrade(picture, np.random.default_rng(1)).input
        assert small[:, 15:25].max(1).min() > 90


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlarging_is_what_playback_does(scale: int) -> None:
    small = np.random.default_rng(1).integers(0, 256, (24, 34), dtype=np.uint8)
    clip = playback_lanczos5(planes_to_clip([small], vs.GRAY8), 34 * scale, 24 * scale)
    difference = np.abs(clip_planes(clip)[0].astype(int) - lanczos5(small, 24 * scale, 34 * scale))
    # Playback rounds between rows and columns, and its weights are integers.
    assert difference.max() <= TWO_CODES


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("bicubic", {"ratio": 0}, "ratio is a whole number"),
        ("bicubic", {"ratio": 1.6}, "ratio is a whole number"),
        ("bicubic", {"ratio": [2, 3]}, "need enlarged = true"),
        ("blur-decimate", {"sigma": 0}, "sigma is a number from 0.1 to 10, not 0"),
        ("blur-decimate", {"sigma": 0.01}, "sigma is a number from 0.1 to 10, not 0.01"),
        ("blur-decimate", {"sigma": 1000}, "sigma is a number from 0.1 to 10, not 1000"),
        ("jpeg", {"lowest": 60, "highest": 50}, "qualities go from 0 to 100"),
        ("mixture", {"parts": []}, "a mixture needs parts"),
        ("mixture", {"parts": [{"share": 2}]}, "needs a name"),
        ("mixture", {"parts": [{"name": "jpg"}]}, "there is no degradation 'jpg'; there are av1, bicubic"),
        ("jpeg", {"qualty": 3}, "degradation jpeg has no parameter qualty; it has ratio"),
    ],
)
def test_what_cannot_be_is_refused(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DEGRADATIONS.make(name, **parameters)


def test_a_picture_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="a picture of 40x15 is too small to shrink by 2"):
        DEGRADATIONS.make("bicubic")(np.zeros((15, 40), np.uint8), np.random.default_rng(1))


def test_a_codec_that_pillow_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda feature: False)
    with pytest.raises(ValueError, match="this Pillow has no AVIF"):
        DEGRADATIONS.make("avif")


def test_pillow_is_called_with_pictures_that_are_not_contiguous() -> None:
    picture = np.asarray(Image.fromarray(smooth_picture()))[:, ::-1]
    assert DEGRADATIONS.make("jpeg")(picture, np.random.default_rng(1)).input.shape == (50, 61)
