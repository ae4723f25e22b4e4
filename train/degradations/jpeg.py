"""JPEG."""

from typing import ClassVar

from train.degradations.still_codec import StillCodec


class Jpeg(StillCodec):
    """Bicubic downscaling, then JPEG (libjpeg-turbo) at a random quality, with half-resolution chroma."""

    format: ClassVar[str] = "JPEG"
    feature: ClassVar[str] = "jpg"
    grey: ClassVar[bool] = True
