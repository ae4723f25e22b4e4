"""Blur and decimation: ESPCN's degradation, under which thin lines survive."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from train.degradations.degradation import Picture, Shrink

# What is left of a plane's mean: SciPy's filter has a ripple of 0.05 dB, whose lowest point is there, and is run twice.
MEAN_GAIN = 10 ** (-2 * 0.05 / 20)


class BlurDecimate(Shrink):
    """A Gaussian blur, then every ``ratio``-th sample of each axis behind a Chebyshev filter, as SciPy's ``decimate``.

    SciPy takes the first sample of every ``ratio``. The blur moves the picture by as much as the middle of these
    samples lies beside the first, so that the small picture lies where every other reduction, and the chroma planes of
    a video, have it: otherwise luma upscaled in playback would lie half a pixel beside its colours.
    """

    def __init__(self, *, ratio: int | Sequence[int] = 2, sigma: float = 0.5, enlarged: bool = False) -> None:
        """Note the parameters; ``sigma`` is the blur's deviation in pixels of the original."""
        super().__init__(ratio=ratio, enlarged=enlarged)
        if sigma <= 0:
            raise ValueError(f"sigma is above 0, not {sigma}")
        self.sigma = sigma

    def shrink(self, picture: Picture, ratio: int, rng: np.random.Generator) -> Picture:
        """``picture`` made ``ratio`` times smaller."""
        small: NDArray[Any] = picture.astype(np.float64)
        for axis in (0, 1):
            small = signal.decimate(self._blurred(small, axis, ratio), ratio, axis=axis) / MEAN_GAIN
        return np.asarray(np.clip(np.rint(small), 0, 255), np.uint8)

    def _blurred(self, samples: NDArray[Any], axis: int, ratio: int) -> NDArray[Any]:
        """Each sample is the blurred picture (ratio - 1) / 2 pixels beyond it."""
        reach = int(np.ceil(3 * self.sigma + ratio / 2))
        kernel = np.exp(-(((np.arange(-reach, reach + 1) - (ratio - 1) / 2) / self.sigma) ** 2) / 2)
        blurred: NDArray[Any] = ndimage.correlate1d(samples, kernel / kernel.sum(), axis, mode="reflect")
        return blurred
