"""A degradation with unknown parameters, after DIV2K's second track."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from train.degradations.degradation import Picture, Shrink

# Range of the blur's deviation along each axis of its ellipse, in pixels of the small picture.
SIGMAS = (0.2, 0.7)


class Unknown(Shrink):
    """Random anisotropic Gaussian blur, a random shift, and slight noise, drawn for each picture.

    After NTIRE 2017 (Timofte et al.), whose unknown track has blur and shift. Deviations are 0.2 to 0.7 pixels of the
    small picture along two axes at any angle.
    """

    def __init__(
        self, *, ratio: int | Sequence[int] = 2, phase: float = 0.5, noise: float = 1.0, enlarged: bool = False
    ) -> None:
        """Set the parameters.

        Args:
            ratio: As for :class:`Shrink`.
            phase: Largest shift along each axis, in pixels of the original.
            noise: Largest deviation of the noise, in 8-bit codes.
            enlarged: As for :class:`Shrink`.

        Raises:
            ValueError: ``phase`` or ``noise`` is below 0.
        """
        super().__init__(ratio=ratio, enlarged=enlarged)
        for name, value in (("phase", phase), ("noise", noise)):
            if value < 0:
                raise ValueError(f"{name} is a number of 0 or more, not {value!r}")
        self.phase = phase
        self.noise = noise

    def shrink(self, picture: Picture, ratio: int, rng: np.random.Generator) -> Picture:
        """Downscale ``picture`` by ``ratio``."""
        kernel = self._kernel(ratio, rng)
        planes = picture[..., None] if picture.ndim == 2 else picture
        small = np.stack([_sampled(planes[..., index], kernel, ratio) for index in range(planes.shape[2])], -1)
        small += rng.normal(scale=rng.uniform(0, self.noise), size=small.shape)
        rounded = np.clip(np.rint(small), 0, 255).astype(np.uint8)
        return np.asarray(rounded[..., 0] if picture.ndim == 2 else rounded)

    def _kernel(self, ratio: int, rng: np.random.Generator) -> NDArray[Any]:
        first, second = rng.uniform(*SIGMAS, 2) * ratio
        angle = rng.uniform(0, np.pi)
        reach = int(np.ceil(3 * SIGMAS[1] * ratio + self.phase + ratio / 2))
        # The centre of a small pixel lies (ratio - 1) / 2 after the first of the pixels that it covers.
        down, right = np.meshgrid(*[np.arange(-reach, reach + 1) - (ratio - 1) / 2] * 2, indexing="ij")
        down, right = (axis - rng.uniform(-self.phase, self.phase) for axis in (down, right))
        along, across = down * np.cos(angle) + right * np.sin(angle), right * np.cos(angle) - down * np.sin(angle)
        kernel = np.exp(-((along / first) ** 2 + (across / second) ** 2) / 2)
        return np.asarray(kernel / kernel.sum())


def _sampled(plane: Picture, kernel: NDArray[Any], ratio: int) -> NDArray[Any]:
    reach = len(kernel) // 2
    padded = np.pad(plane.astype(np.float64), reach, mode="symmetric")
    blurred: NDArray[Any] = signal.fftconvolve(padded, kernel[::-1, ::-1], mode="valid")
    return blurred[::ratio, ::ratio]
