"""Baselines against what the papers print, and deconvolution against what theory says of it."""

import numpy as np
import pytest
from PIL import Image

from tests.shared_data import MISSING, SHARED_DATA
from tests.tolerances import ONE_CODE, PRINTED_DB
from train.degradations.resample import bicubic
from train.metrics import METRICS
from train.metrics.metric import paper_luma
from train.systems.classic import CLASSIC, Enlarger, Plane

SET5 = SHARED_DATA / "test" / "set5"


def mean_psnr(enlarge: Enlarger, scale: int) -> float:
    if not SET5.exists():
        pytest.skip(f"{MISSING}: {SET5}")
    scores = []
    for path in sorted(SET5.glob("*.png")):
        luma = paper_luma(np.asarray(Image.open(path).convert("RGB")))
        height, width = (size // scale for size in luma.shape)
        original = luma[: height * scale, : width * scale]
        enlarged = enlarge(bicubic(original, height, width), scale)
        scores.append(METRICS.make("psnr", border=scale)(enlarged, original))
    return float(np.mean(scores))


@pytest.mark.parametrize(("scale", "printed"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_on_set5_is_what_papers_print(scale: int, printed: float) -> None:
    assert mean_psnr(CLASSIC["bicubic"], scale) == pytest.approx(printed, abs=PRINTED_DB)


def test_wieners_filter_gains_where_the_inverse_filter_blows_up() -> None:
    lanczos = mean_psnr(CLASSIC["Lanczos-5"], 2)
    assert mean_psnr(CLASSIC["Wiener"], 2) > lanczos + 0.5
    assert mean_psnr(CLASSIC["inverse filter"], 2) < 15


@pytest.mark.parametrize("name", [name for name in CLASSIC if name != "inverse filter"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_an_even_plane_stays_even_and_no_way_shifts_the_picture(name: str, scale: int) -> None:
    even = np.full((20, 24), 77, np.uint8)
    np.testing.assert_array_equal(CLASSIC[name](even, scale), np.full((20 * scale, 24 * scale), 77))
    # A picture that is its own mirror image stays so.
    ramp = np.abs(np.arange(24) - 11.5) * 15 + 20
    plane: Plane = np.repeat(ramp[None].astype(np.uint8), 20, 0)
    enlarged = CLASSIC[name](plane, scale).astype(int)
    assert np.abs(enlarged - enlarged[:, ::-1]).max() <= ONE_CODE
