"""JPEG."""

from typing import ClassVar

from train.degradations.still_codec import StillCodec


class Jpeg(StillCodec):
    """Bicubic reduction, then JPEG (libjpeg-turbo) at a random quality, with chroma of half the resolution."""

    format: ClassVar[str] = "JPEG"
    feature: ClassVar[str] = "jpg"
    grey: ClassVar[bool] = True
