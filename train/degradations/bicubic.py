"""Bicubic downscaling, the degradation of nearly all papers on super-resolution."""

import numpy as np

from train.degradations.degradation import Picture, Shrink
from train.degradations.resample import bicubic


class Bicubic(Shrink):
    """Keys's cubic with a = -0.5, antialiased and rounded to 8 bits, as in Matlab's imresize."""

    def shrink(self, picture: Picture, ratio: int, rng: np.random.Generator) -> Picture:
        """Downscale ``picture`` by ``ratio``."""
        return bicubic(picture, picture.shape[0] // ratio, picture.shape[1] // ratio)
