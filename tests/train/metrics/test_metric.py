"""The metrics that tables name: luma and RGB, borders, and packages' own answers."""

import numpy as np
import pytest
from PIL import Image

from train.metrics import METRICS
from train.metrics.metric import Picture, paper_luma


def picture(side: int = 96) -> Picture:
    down, right = np.mgrid[:side, :side]
    luma = 120 + 60 * np.sin(down / 5) * np.cos(right / 7) + 40 * (right > side // 2)
    return np.asarray(np.stack((luma, luma * 0.8 + 20, luma * 0.6 + 60), -1), np.uint8)


def blurred(original: Picture) -> Picture:
    size = original.shape[1], original.shape[0]
    small = Image.fromarray(original).resize((size[0] // 2, size[1] // 2), Image.Resampling.BICUBIC)
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC))


def test_luma_of_papers_is_that_of_matlab() -> None:
    # rgb2ycbcr of black, white, red, green, blue, and one in between.
    colours = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [12, 200, 77]]
    assert paper_luma(np.array([colours], np.uint8)).tolist() == [[16, 235, 81, 145, 41, 127]]


def test_psnr_of_rgb_is_that_of_all_samples() -> None:
    original = np.full((4, 4, 3), 100, np.uint8)
    restored = original.copy()
    restored[..., 1] += 3
    assert METRICS.make("psnr")(restored, original) == pytest.approx(10 * np.log10(255**2 / 3))


def test_a_border_is_left_out() -> None:
    original = paper_luma(picture())
    restored = original.copy()
    restored[:2] = 0
    restored[:, -2:] = 0
    assert METRICS.make("psnr", border=2)(restored, original) == float("inf")
    assert METRICS.make("psnr", border=1)(restored, original) < 30


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("colour", [False, True])
def test_every_metric_ranks_a_good_copy_above_a_bad_one(name: str, colour: bool) -> None:
    if name == "st-lpips":
        pytest.importorskip("stlpips_pytorch")
    if name == "ssimulacra2":
        pytest.importorskip("vapoursynth")
        import vapoursynth as vs

        if not hasattr(vs.core, "vszip"):
            pytest.skip("the plugin vszip is not installed")
    metric = METRICS.make(name)
    original = picture() if colour else paper_luma(picture())
    worse = blurred(original)
    much_worse = blurred(np.ascontiguousarray(worse[::2, ::2])).repeat(2, 0).repeat(2, 1)
    scores = [metric(restored, original) for restored in (original, worse, much_worse)]
    assert scores == sorted(scores, reverse=metric.larger_is_better)
    assert len(set(scores)) == 3


@pytest.mark.parametrize(("has_bf16", "tolerance"), [(False, 1e-5), (True, 1e-3)])
def test_st_lpips_is_that_of_its_package(has_bf16: bool, tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stlpips_pytorch")
    monkeypatch.setattr("train.metrics.stlpips.has_bf16_units", lambda device: has_bf16)
    # LPIPS(net="vgg", variant="shift_tolerant")(restored, original, normalize=True) of stlpips-pytorch 0.0.2.
    rng = np.random.default_rng(0)
    original = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    restored = (original // 2 + 60).astype(np.uint8)
    found = METRICS.make("st-lpips", device="cpu")(restored, original)
    assert found == pytest.approx(0.014054332859814167, abs=tolerance)


@pytest.mark.parametrize(("kept", "runs"), [(4, 4 * 4 + 3 * 4), (3, 4 * 4 + 3 * 4 + 1), (0, 2 * 4 * 4)])
def test_st_lpips_keeps_the_features_of_an_original_alone(
    kept: int, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("stlpips_pytorch")
    from train.metrics.stlpips import StLpips

    monkeypatch.setattr("train.metrics.stlpips.TILE", 64)
    monkeypatch.setattr("train.metrics.stlpips.OVERLAP", 16)
    monkeypatch.setattr("train.metrics.stlpips._KEPT", kept)
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 256, (112, 112), dtype=np.uint8) for _ in range(2))
    # Four tiles each; only the second pair has the original of the pair before it.
    pairs = [(other, one), (255 - one, one), (one, other), (other, one)]
    metric = METRICS.make("st-lpips", device="cpu")
    assert isinstance(metric, StLpips)
    counted: list[object] = []
    metric._vgg.register_forward_hook(lambda *_: counted.append(0))
    found = [metric(*pair) for pair in pairs]
    assert len(counted) == runs
    assert found == [METRICS.make("st-lpips", device="cpu")(*pair) for pair in pairs]
    assert found[0] != found[1] != found[2]


def test_pictures_of_different_sizes_or_without_an_inside_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        METRICS.make("psnr")(np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8))
    with pytest.raises(ValueError, match="nothing is left"):
        METRICS.make("psnr", border=4)(np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8))
