"""Means over the neighbourhood of each pixel."""

from typing import Final

from torch import Tensor
from torch.nn import functional as F

# Side of the neighbourhood in pixels: about four cells of a network of stride 4.
_SIDE: Final = 17


def mean_around(plane: Tensor) -> Tensor:
    """The mean over the 17x17 pixels around each pixel, of those within the plane; planes are (N, C, H, W)."""
    return F.avg_pool2d(plane, _SIDE, stride=1, padding=_SIDE // 2, count_include_pad=False)
