"""EXIF's orientation: how stored samples are turned and flipped to be shown."""

from typing import Any

import vapoursynth as vs
from numpy.typing import NDArray


def upright(plane: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and flip ``plane``, height x width or height x width x channels, as EXIF's ``orientation`` 1 to 8 asks."""
    if orientation in (5, 6, 7, 8):
        plane = plane.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    return plane


def turned(clip: vs.VideoNode, orientation: int) -> vs.VideoNode:
    """Turn and flip ``clip`` likewise.

    The location of chroma beside luma, which is a property, stays as stated: convert to 4:4:4 first.
    """
    if orientation in (5, 6, 7, 8):
        clip = clip.std.Transpose()
    if orientation in (3, 4, 7, 8):
        clip = clip.std.FlipVertical()
    return clip.std.FlipHorizontal() if orientation in (2, 3, 6, 7) else clip


def upright_size[T](size: tuple[T, T], orientation: int) -> tuple[T, T]:
    """Width and height of a picture once it is upright; the way back is the same."""
    return size[::-1] if orientation in (5, 6, 7, 8) else size
