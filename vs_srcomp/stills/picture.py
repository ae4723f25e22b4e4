"""A picture between its file and the networks."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

type Plane = NDArray[np.uint8] | NDArray[np.uint16]
"""Height x width, full range: 0 to 255 or 0 to 65535."""

HDR_TRANSFERS: Final = (16, 18)
"""PQ and HLG, in the numbers of ITU-T H.273."""


class Tags(NamedTuple):
    """What the colours mean, in the numbers of ITU-T H.273."""

    primaries: int
    transfer: int

    @property
    def is_srgb(self) -> bool:
        """Whether viewers without support for tags show such a picture right.

        The transfer functions of BT.709 and BT.601 count as that of sRGB, as all viewers have it.
        """
        return self.primaries in (1, 2) and self.transfer in (1, 2, 6, 13)

    @property
    def is_hdr(self) -> bool:
        """PQ or HLG."""
        return self.transfer in HDR_TRANSFERS


UNSPECIFIED = Tags(2, 2)
"""For viewers, that is sRGB."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a file holds beside the samples, as it goes into the output."""

    tags: Tags = UNSPECIFIED
    icc: bytes | None = None
    exif: bytes = b""
    """As in JPEG, with ``Exif`` before it. It has no orientation: the picture is turned already."""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    light: tuple[int, int] | None = None
    """Maximum and frame-average content light level in cd/m^2."""

    @property
    def has_grey_profile(self) -> bool:
        """Whether the profile is of greys, which describes no colours (ICC.1, 7.2.6)."""
        return self.icc is not None and self.icc[16:20] == b"GRAY"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What was read, not upscaled yet."""

    clip: vs.VideoNode
    """One frame, YUV or GRAY, with ``_Matrix`` and ``_Range``: nothing has to be guessed. Not turned yet."""
    bits: int
    """Of a sample in the file."""
    is_rgb: bool = False
    """The clip was made from RGB: 16 bits, 4:4:4, BT.709 in limited range, as the networks were trained on pictures."""
    subsampling: tuple[int, int] = (0, 0)
    """log2 of that of chroma in the file; the clip is 4:4:4 where the size is odd."""
    alpha: Plane | None = None
    orientation: int = 1
    """How to turn it for display, 1 to 8 as in EXIF."""
    q: float | None = None
    """How strongly it was compressed, 0 to 63 on libaom's quantizer scale; None if unknown."""
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()
    """What is not kept, and what was assumed."""
