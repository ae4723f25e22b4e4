"""AVIF."""

from collections.abc import Sequence
from typing import Any, ClassVar

from train.degradations.still_codec import StillCodec


class Avif(StillCodec):
    """Bicubic downscaling, then AVIF (libavif, 4:2:0) at a random quality.

    The encoder uses one thread, since workers share the cores. ``speed`` is 0 (best) to 10 (fastest).
    """

    format: ClassVar[str] = "AVIF"
    feature: ClassVar[str] = "avif"

    def __init__(
        self,
        *,
        ratio: int | Sequence[int] = 2,
        lowest: int = 10,
        highest: int = 90,
        speed: int = 8,
        enlarged: bool = False,
    ) -> None:
        super().__init__(ratio=ratio, lowest=lowest, highest=highest, enlarged=enlarged)
        if not 0 <= speed <= 10:
            raise ValueError(f"speed is a whole number from 0 to 10, not {speed!r}")
        self.speed = speed

    def settings(self) -> dict[str, Any]:
        """Speed and number of threads of the encoder."""
        return {"speed": self.speed, "max_threads": 1}
