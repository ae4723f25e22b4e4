"""WebP."""

from typing import ClassVar

from train.degradations.still_codec import StillCodec


class Webp(StillCodec):
    """Bicubic downscaling, then lossy WebP (libwebp) at a random quality."""

    format: ClassVar[str] = "WEBP"
    feature: ClassVar[str] = "webp"
