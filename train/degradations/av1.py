"""Degradation by AV1 at a random level."""

import numpy as np
import vapoursynth as vs

from train.coding import TRAINING_SPEED, decode, encode
from train.degradations.degradation import Degraded, Picture
from train.material.pictures import clip_planes, planes_to_clip
from train.pairs import Pair
from vs_srcomp.geometry import MAX_QUANTIZER, ratio_by_name
from vs_srcomp.resample import lanczos5


class Av1:
    """Lanczos-5 downscaling by ``ratio``, AV1 at a random level, and Lanczos-5 upscaling.

    This project's networks are trained on files that are coded once and kept instead (`train.material.coded`).
    """

    def __init__(self, *, ratio: str, lowest: int = 15, highest: int = 55) -> None:
        """Set the ratio, ``"2:1"``, ``"8:5"`` or ``"4:3"``, and the range of levels; ValueError if one is invalid."""
        self.ratio = ratio_by_name(ratio)
        if not 0 <= lowest <= highest <= MAX_QUANTIZER:
            raise ValueError(f"levels from {lowest} to {highest} are not within 0 to {MAX_QUANTIZER}")
        self.lowest, self.highest = lowest, highest

    def __call__(self, picture: Picture, rng: np.random.Generator) -> Degraded:
        """Degrade luma (H, W); H and W are multiples of 16."""
        q = int(rng.integers(self.lowest, self.highest + 1))
        height, width = picture.shape
        neutral = np.full((height // 2, width // 2), 128, np.uint8)
        clip = planes_to_clip([picture, neutral, neutral], vs.YUV420P8)
        decoded = decode(encode(clip, Pair(self.ratio, q), TRAINING_SPEED))
        return Degraded(clip_planes(lanczos5(decoded, width, height))[0], float(q))
