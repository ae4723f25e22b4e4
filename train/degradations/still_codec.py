"""Base class of degradations by still picture codecs."""

import io
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from PIL import Image, features

from train.degradations.bicubic import Bicubic
from train.degradations.degradation import Degraded, Picture


class StillCodec(Bicubic):
    """Bicubic downscaling, then a codec at a random quality; the clean small picture is kept.

    A codec without a luma-only format codes luma as grey RGB.
    """

    format: ClassVar[str]
    """Pillow's name of the format."""
    feature: ClassVar[str]
    """Pillow's build feature for the codec."""
    grey: ClassVar[bool] = False
    """Whether the codec has a luma-only format."""

    def __init__(
        self,
        *,
        ratio: int | Sequence[int] = 2,
        lowest: int = 10,
        highest: int = 90,
        enlarged: bool = False,
    ) -> None:
        """Check and store the parameters.

        Args:
            ratio: As for :class:`~train.degradations.degradation.Shrink`.
            lowest: Lowest quality, 0 to 100 on the codec's own scale.
            highest: Highest quality.
            enlarged: As for :class:`~train.degradations.degradation.Shrink`.

        Raises:
            ValueError: Qualities are out of range, or this Pillow does not have the codec.
        """
        super().__init__(ratio=ratio, enlarged=enlarged)
        if not 0 <= lowest <= highest <= 100:
            raise ValueError(f"qualities go from 0 to 100, the lowest first, not {lowest} to {highest}")
        if not features.check(self.feature):
            raise ValueError(f"this Pillow has no {self.format}: pip install --upgrade 'pillow>=11.3'")
        self.lowest = lowest
        self.highest = highest

    def settings(self) -> dict[str, Any]:
        """Codec settings besides the quality, by Pillow's names."""
        return {}

    def compress(self, small: Picture, rng: np.random.Generator) -> Degraded:
        """Compress the small picture at a random quality."""
        coded = self.code(small, int(rng.integers(self.lowest, self.highest + 1)))
        return Degraded(coded, clean=small)

    def code(self, picture: Picture, quality: int) -> Picture:
        """Code ``picture`` at ``quality`` and decode it."""
        file = io.BytesIO()
        image = Image.fromarray(picture)
        if picture.ndim == 2 and not self.grey:
            image = image.convert("RGB")
        image.save(file, self.format, quality=quality, **self.settings())
        with Image.open(file) as decoded:
            return np.asarray(decoded.convert("L" if picture.ndim == 2 else "RGB"))
