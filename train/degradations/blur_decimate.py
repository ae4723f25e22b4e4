"""Blur and decimation: the degradation of ESPCN, which keeps thin lines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from train.degradations.degradation import Picture, Shrink

# Gain of a plane's mean: SciPy's filter has its 0.05 dB ripple minimum there, and runs twice.
MEAN_GAIN = 10 ** (-2 * 0.05 / 20)

# With less, no sample is near enough to the place between two of them to have a weight; more leaves nothing to restore.
SIGMAS = 0.1, 10.0


class BlurDecimate(Shrink):
    """A Gaussian blur, then SciPy's ``decimate``: a Chebyshev filter and every ``ratio``-th sample on each axis.

    SciPy keeps the first of ``ratio`` samples. The blur shifts the picture by the distance from this sample to their
    centre, so that it is aligned like the output of other degradations and the chroma planes of a video. Otherwise
    luma upscaled in playback would be half a pixel off its chroma.
    """

    def __init__(self, *, ratio: int | Sequence[int] = 2, sigma: float = 0.5, enlarged: bool = False) -> None:
        """``sigma``: standard deviation of the blur in pixels of the original."""
        super().__init__(ratio=ratio, enlarged=enlarged)
        low, high = SIGMAS
        if not low <= sigma <= high:
            raise ValueError(f"sigma is a number from {low:g} to {high:g}, not {sigma!r}")
        self.sigma = sigma

    def shrink(self, picture: Picture, ratio: int, rng: np.random.Generator) -> Picture:
        """Downscale ``picture`` by ``ratio``."""
        small: NDArray[Any] = picture.astype(np.float64)
        for axis in (0, 1):
            small = signal.decimate(self._blurred(small, axis, ratio), ratio, axis=axis) / MEAN_GAIN
        return np.asarray(np.clip(np.rint(small), 0, 255), np.uint8)

    def _blurred(self, samples: NDArray[Any], axis: int, ratio: int) -> NDArray[Any]:
        """Blur along ``axis``; each sample is taken (ratio - 1) / 2 pixels further on."""
        reach = int(np.ceil(3 * self.sigma + ratio / 2))
        kernel = np.exp(-(((np.arange(-reach, reach + 1) - (ratio - 1) / 2) / self.sigma) ** 2) / 2)
        blurred: NDArray[Any] = ndimage.correlate1d(samples, kernel / kernel.sum(), axis, mode="reflect")
        return blurred
