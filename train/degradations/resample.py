"""Resizing without VapourSynth."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

LOBES = 5


def bicubic(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize an 8-bit picture by Keys's cubic, a = -0.5, antialiased when downscaling, as Matlab's imresize does.

    Raises:
        ValueError: A side is 0.
    """
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def lanczos5(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Upscale an 8-bit picture like zimg's Lanczos with five lobes, except for rounding.

    Pixel centres lie half a pixel inside the border; beyond it the picture is mirrored. Columns are resized first, and
    clipped before the rows, too.
    """
    planes = picture[..., None] if picture.ndim == 2 else picture
    rows, columns = _taps(picture.shape[0], height), _taps(picture.shape[1], width)
    wide = [(columns @ planes[..., channel].astype(np.float32).T).clip(0, 255) for channel in range(planes.shape[2])]
    large = [rows @ plane.T for plane in wide]
    rounded = np.clip(np.rint(np.stack(large, -1)), 0, 255).astype(np.uint8)
    return np.asarray(rounded[..., 0] if picture.ndim == 2 else rounded)


@cache
def _taps(taken: int, given: int) -> sparse.csr_array:
    """Weights of ``taken`` input samples for ``given`` output samples."""
    centres = (np.arange(given) + 0.5) * taken / given
    first = np.floor(centres - LOBES + 0.5).astype(int)
    places = first[:, None] + np.arange(2 * LOBES)
    distance = places + 0.5 - centres[:, None]
    weights = np.where(np.abs(distance) < LOBES, np.sinc(distance) * np.sinc(distance / LOBES), 0)
    weights /= weights.sum(1, keepdims=True)
    # The mirror axis is between pixels. Far outside a very small picture, the last pixel is repeated.
    mirrored = np.where(places < 0, -1 - places, places)
    mirrored = np.where(mirrored >= taken, 2 * taken - 1 - mirrored, mirrored).clip(0, taken - 1)
    rows = np.repeat(np.arange(given), 2 * LOBES)
    return sparse.csr_array((weights.ravel().astype(np.float32), (rows, mirrored.ravel())), (given, taken))
