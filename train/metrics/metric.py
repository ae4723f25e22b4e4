"""Metrics on luma or RGB pictures, with or without their border."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from train.metrics.fidelity import psnr, ssim
from train.metrics.libvmaf import vmaf

type Picture = NDArray[np.uint8]
"""8-bit samples: luma (H, W), or RGB (H, W, 3)."""


def paper_luma(rgb: Picture) -> Picture:
    """Luma as in papers on super-resolution: BT.601 in limited range, rounded, as in Matlab's rgb2ycbcr."""
    red, green, blue = (rgb[..., channel].astype(np.float64) for channel in range(3))
    return np.asarray(np.rint(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255), np.uint8)


class Metric:
    """A score of a restored picture against the original, both luma or both RGB, of the same size."""

    paper: ClassVar[str] = ""
    unit: ClassVar[str] = ""
    larger_is_better: ClassVar[bool] = True

    def __init__(self, *, border: int = 0) -> None:
        """``border``: pixels to ignore on each side; in papers the scale."""
        self.border = border

    def __call__(self, restored: Picture, original: Picture) -> float:
        """The score.

        Raises:
            ValueError: The pictures have different sizes, or are too small.
        """
        if restored.shape != original.shape:
            raise ValueError(f"pictures of {restored.shape} and {original.shape} cannot be compared")
        if min(original.shape[:2]) <= 2 * self.border:
            raise ValueError(f"nothing is left of {original.shape[:2]} without a border of {self.border}")
        inside = np.s_[self.border : original.shape[0] - self.border, self.border : original.shape[1] - self.border]
        return self.score(restored[inside], original[inside])

    def score(self, restored: Picture, original: Picture) -> float:
        """The score of pictures of the same size."""
        raise NotImplementedError


class Psnr(Metric):
    """Peak signal-to-noise ratio against 255; of RGB, over the squared error of all three channels."""

    unit: ClassVar[str] = "dB"

    def score(self, restored: Picture, original: Picture) -> float:
        """PSNR in dB; infinite if the pictures are equal."""
        return psnr(restored, original)


class Ssim(Metric):
    """Structural similarity; of RGB, the mean of the channels."""

    paper: ClassVar[str] = "Wang, Bovik, Sheikh, Simoncelli 2004"

    def score(self, restored: Picture, original: Picture) -> float:
        """SSIM; 1 if the pictures are equal."""
        if restored.ndim == 2:
            return ssim(restored, original)
        return float(np.mean([ssim(restored[..., channel], original[..., channel]) for channel in range(3)]))


class VmafStill(Metric):
    """VMAF v0.6.1 of a still, without motion; of RGB, on luma."""

    paper: ClassVar[str] = "Li et al. 2016, Netflix"

    def score(self, restored: Picture, original: Picture) -> float:
        """0 to 100."""
        return vmaf(*self._planes(restored, original), stills=True)[0].vmaf

    def _planes(self, restored: Picture, original: Picture) -> tuple[list[Picture], list[Picture]]:
        taken, wanted = (picture if picture.ndim == 2 else paper_luma(picture) for picture in (restored, original))
        return [taken], [wanted]


class VmafNegStill(VmafStill):
    """VMAF-NEG of a still: VMAF that does not reward sharpening."""

    def score(self, restored: Picture, original: Picture) -> float:
        """0 to 100."""
        return vmaf(*self._planes(restored, original), stills=True)[0].neg
