"""PSNR and SSIM of 8-bit planes."""

import math

import numpy as np
from numpy.typing import NDArray

type Plane = NDArray[np.uint8]

PEAK = 255


def psnr(luma: Plane, original: Plane) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures of the same shape, in dB; infinite if they are equal."""
    return decibels(float(np.mean((luma.astype(np.float64) - original) ** 2)))


def decibels(error: float) -> float:
    """The PSNR of a mean squared error in 8-bit codes, in dB; infinite for 0."""
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def ssim(luma: Plane, original: Plane) -> float:
    """Structural similarity of two 8-bit planes of the same size; 1 if they are equal.

    As in Wang et al., "Image quality assessment: from error visibility to structural similarity" (2004), eq. 13: an
    11x11 Gaussian window of deviation 1.5, K1 = 0.01, K2 = 0.03, peak 255; the mean over all positions where the window
    lies inside the picture. No prior downsampling.

    Raises:
        ValueError: The planes are smaller than the window, or of different sizes.
    """
    if luma.shape != original.shape or min(luma.shape) < len(WINDOW):
        raise ValueError(f"{luma.shape} and {original.shape}: SSIM needs one size of {len(WINDOW)}x{len(WINDOW)} up")
    x, y = (plane.astype(np.float64) for plane in (luma, original))
    mean_x, mean_y, square_x, square_y, product = (_windowed(plane) for plane in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    variances = square_x - mean_x**2 + square_y - mean_y**2
    covariance = product - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2) / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))
    return float(similarity.mean())


WINDOW = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
WINDOW /= WINDOW.sum()
"""Weights of the window of SSIM along one side; their product over both sides is the Gaussian."""


def _windowed(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean in the window at each position where it fits; the Gaussian is separable."""
    return _down_the_rows(_down_the_rows(plane).T).T


def _down_the_rows(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    length = len(plane) - len(WINDOW) + 1
    total = np.zeros((length, plane.shape[1]))
    for offset, weight in enumerate(WINDOW):
        total += weight * plane[offset : offset + length]
    return total
