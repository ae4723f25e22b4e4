"""Upscaling methods without training: the baselines of every table."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

from train.degradations.resample import lanczos5

type Plane = NDArray[np.uint8]
type Enlarger = Callable[[Plane, int], Plane]
"""Maps a plane (H, W) and a scale to a plane (scale * H, scale * W)."""

# Ratio of noise power to signal power at the small picture's highest frequency, for the Wiener filter. The noise is
# rounding and aliasing. The power of pictures falls with the square of the frequency.
NOISE = 0.02


def _by_pillow(kernel: Image.Resampling) -> Enlarger:
    def enlarge(plane: Plane, scale: int) -> Plane:
        size = plane.shape[1] * scale, plane.shape[0] * scale
        return np.asarray(Image.fromarray(plane).resize(size, kernel))

    return enlarge


def _lanczos5(plane: Plane, scale: int) -> Plane:
    return lanczos5(plane, plane.shape[0] * scale, plane.shape[1] * scale)


def inverse_filter(plane: Plane, scale: int) -> Plane:
    """Lanczos-5, then division by the spectrum of the downscaling blur, which amplifies noise where it is small."""
    return _deconvolved(plane, scale, lambda response, frequency: 1 / response)


def wiener(plane: Plane, scale: int) -> Plane:
    """Lanczos-5, then Wiener deconvolution, which suppresses frequencies that the blur has removed."""
    return _deconvolved(plane, scale, lambda response, frequency: response / (response**2 + NOISE * frequency**2))


type _Spectrum = NDArray[np.float64]


def _deconvolved(plane: Plane, scale: int, gain: Callable[[_Spectrum, _Spectrum], _Spectrum]) -> Plane:
    enlarged = _lanczos5(plane, scale).astype(np.float64)
    # The cosine transform is the spectrum of a picture continued by its mirror image; the blur is symmetric.
    spectrum = fft.dctn(enlarged, norm="ortho")
    rows, columns = (_response(size, scale) for size in enlarged.shape)
    down, across = (np.arange(scale * size) / size for size in plane.shape)
    spectrum *= gain(rows[:, None] * columns, np.hypot(down[:, None], across))
    return np.asarray(np.clip(np.rint(fft.idctn(spectrum, norm="ortho")), 0, 255), np.uint8)


def _response(size: int, scale: int) -> NDArray[np.float64]:
    """Frequency response of bicubic downscaling by ``scale`` for each cosine of ``size`` samples."""
    reach = 2 * scale
    places = np.arange(-reach, reach) + 0.5 if scale % 2 == 0 else np.arange(-reach, reach + 1.0)
    x = np.abs(places) / scale
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    kernel = np.where(x < 1, near, np.where(x < 2, far, 0))
    kernel /= kernel.sum()
    response: NDArray[np.float64] = np.cos(np.pi * np.arange(size)[:, None] / size * places) @ kernel
    return response


CLASSIC: dict[str, Enlarger] = {
    "nearest": _by_pillow(Image.Resampling.NEAREST),
    "bilinear": _by_pillow(Image.Resampling.BILINEAR),
    "bicubic": _by_pillow(Image.Resampling.BICUBIC),
    "Lanczos-5": _lanczos5,
    "inverse filter": inverse_filter,
    "Wiener": wiener,
}
