"""Colours where alpha is 0: nobody sees them, but Lanczos and the network would mix them into visible edges.

Most programs leave black or white there. Hidden samples get colours that continue the visible ones, by pull-push
(S. J. Gortler et al., The Lumigraph, SIGGRAPH 1996): cells of 2x2, 4x4 samples and so on have the mean of what is
visible in and beside them, weighted by alpha. Where a cell has the weight of less than one opaque sample, the next
larger ones make up for it, by linear interpolation. So what is hidden has the colours of an edge beside it, and ever
wider means further away.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vs_srcomp.stills.colour import planes_of
from vs_srcomp.stills.picture import Picture, Plane

type _Floats = NDArray[np.float32]

_ROWS = 64
"""That are in floating point at a time, an even number: so they stay in the cache."""


def without_hidden_colours(picture: Picture) -> Picture:
    """``picture`` with continued colours where its alpha is 0.

    All other samples stay. So does chroma that several samples share, if one of them is visible; and a picture that is
    opaque, or of which nothing is visible.
    """
    alpha, clip = picture.alpha, picture.clip
    if alpha is None or alpha.min() > 0 or alpha.max() == 0:
        return picture

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        filled = f.copy()
        luma, *chroma = planes_of(filled)
        if chroma and chroma[0].shape != luma.shape:
            _fill(chroma, _of_chroma(alpha, filled.format, chroma[0].shape))
            chroma = []
        _fill([luma, *chroma], alpha)
        return filled

    return replace(picture, clip=clip.std.ModifyFrame(clip, fill))


def _of_chroma(alpha: Plane, kind: vs.VideoFormat, shape: tuple[int, ...]) -> _Floats:
    """The mean of ``alpha`` over what shares a sample of chroma."""
    across, down = 1 << kind.subsampling_w, 1 << kind.subsampling_h
    mean = np.zeros(shape, np.float32)
    for top in range(down):
        for left in range(across):
            part = alpha[top::down, left::across]
            mean[: part.shape[0], : part.shape[1]] += part / np.float32(across * down)
    return mean


def _fill(planes: Sequence[NDArray[Any]], alpha: Plane | _Floats) -> None:
    """Continue ``planes``, which are changed, where ``alpha``, of the same size and any range, is 0."""
    height, width = alpha.shape
    shape = -(-height // 2), -(-width // 2)
    sums, weights = np.empty((len(planes), *shape), np.float32), np.empty(shape, np.float32)
    opaque = np.float32(alpha.max())
    for top in range(0, height, _ROWS):
        cells = slice(top // 2, top // 2 + _ROWS // 2)
        part = alpha[top : top + _ROWS].astype(np.float32) / opaque
        weights[cells] = _sums_of_four(part)
        for plane, of_plane in zip(planes, sums, strict=True):
            of_plane[cells] = _sums_of_four(part * plane[top : top + _ROWS])
    colours = _continued(sums, weights)
    for top in range(0, height, _ROWS):
        hidden = alpha[top : top + _ROWS] == 0
        if not hidden.any():
            continue
        # With a row of cells to either side, which the interpolation takes in.
        first = max(top // 2 - 1, 0)
        near = colours[:, first : top // 2 + _ROWS // 2 + 1]
        rows = slice(top - 2 * first, top - 2 * first + len(hidden))
        for plane, of_plane in zip(planes, near, strict=True):
            codes = (_doubled(of_plane)[rows, :width] + np.float32(0.5)).astype(plane.dtype)
            np.copyto(plane[top : top + _ROWS], codes, where=hidden)


def _continued(sums: _Floats, weights: _Floats) -> _Floats:
    """Colours of cells from weighted ``sums`` over them.

    Args:
        sums: Planes x height x width.
        weights: Height x width, not all 0; more than 1 counts as 1.
    """
    scale: _Floats = np.reciprocal(np.maximum(weights, 1))
    sums, weights = sums * scale, weights * scale
    if weights.size == 1:
        return sums / weights
    coarser = _continued(_halved(sums), _halved(weights))
    height, width = weights.shape
    return sums + (1 - weights) * _doubled(coarser)[..., :height, :width]


def _sums_of_four(values: _Floats) -> _Floats:
    """Over 2x2 of the last two axes; beyond odd sizes are zeros."""
    height, width = values.shape[-2:]
    sums = values[..., ::2, ::2].copy()
    sums[..., :, : width // 2] += values[..., ::2, 1::2]
    sums[..., : height // 2, :] += values[..., 1::2, ::2]
    sums[..., : height // 2, : width // 2] += values[..., 1::2, 1::2]
    return sums


def _halved(values: _Floats) -> _Floats:
    """Sums over 4x4 of the last two axes, at every other place: a quarter of a value goes to the cells beside its own.

    Cells that share nothing, as 2x2 would, show where an edge lies on their grid.
    """
    for axis in (-2, -1):
        moved = values.swapaxes(axis, -2)
        even, odd = moved[..., ::2, :], moved[..., 1::2, :]
        halved = even * np.float32(0.75)
        halved[..., : odd.shape[-2], :] += odd * np.float32(0.75)
        halved[..., 1:, :] += odd[..., : even.shape[-2] - 1, :] * np.float32(0.25)
        halved[..., :-1, :] += even[..., 1:, :] * np.float32(0.25)
        values = halved.swapaxes(axis, -2)
    return values


def _doubled(values: _Floats) -> _Floats:
    """Of twice the size in the last two axes, by linear interpolation; borders go on as they are."""
    for axis in (-2, -1):
        moved = values.swapaxes(axis, -2)
        own, quarter = moved * np.float32(0.75), moved * np.float32(0.25)
        height = moved.shape[-2]
        doubled = np.repeat(own, 2, axis=-2)
        doubled[..., 2::2, :] += quarter[..., : height - 1, :]
        doubled[..., 1:-1:2, :] += quarter[..., 1:, :]
        doubled[..., :1, :] += quarter[..., :1, :]
        doubled[..., -1:, :] += quarter[..., -1:, :]
        values = doubled.swapaxes(axis, -2)
    return values
