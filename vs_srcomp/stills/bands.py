"""Large pictures in bands of rows, so that memory holds the whole of the input and the output only.

Bands overlap by what a row of the output depends on, and begin where a row of the input, a cell of the network's grid
and a row of chroma do: every sample is computed from the same samples as without bands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import vapoursynth as vs

from vs_srcomp.geometry import ratio_by_name, scaled_size
from vs_srcomp.memory import check_memory
from vs_srcomp.models import models
from vs_srcomp.models.catalogue import TIERS
from vs_srcomp.stills.job import PictureJob
from vs_srcomp.stills.picture import Picture

WHOLE = 48_000_000
"""Pixels of an output up to which it is done at once: about 1 GB."""

_BAND = 16_000_000
"""Pixels of a band's output, about."""

_LANCZOS = 5
"""Rows of a plane of the input to either side that a row of the output depends on."""

_SLACK = 4
"""Rows more, for sharpening and for chroma on its way to RGB."""


@dataclass(frozen=True)
class Band:
    """Rows of the input, and what is kept of their output."""

    first: int
    stop: int
    skip: int
    """Rows of the output that are another band's, at the top."""
    rows: int
    """That are kept."""


def bands_of(picture: Picture, job: PictureJob, *, whole: int = WHOLE, band: int = _BAND) -> list[Band]:
    """How ``picture`` is cut; empty where it is done at once, because it is small or cannot be cut without a trace.

    Args:
        picture: What was read.
        job: What is asked for.
        whole: Pixels of an output that is done at once.
        band: Pixels of a band, about.
    """
    clip = picture.clip
    factor = ratio_by_name(job.ratio or "2:1").factor if job.width is None and job.height is None else None
    exact = factor is not None and all((size * factor).denominator == 1 for size in (clip.width, clip.height))
    if factor is None or not exact or job.model not in TIERS or job.ensemble:
        return []
    width, height = scaled_size(clip.width, clip.height, factor, clip.format.subsampling_w, clip.format.subsampling_h)
    if width * height <= whole or height != clip.height * factor:
        return []
    of_tier = [model for model in models() if model.tier == job.model]
    field = max(model.receptive_field or clip.height for model in of_tier)
    # Multiples of this many rows are whole rows of chroma and whole cells of all networks.
    unit = factor.denominator * 4 * max(model.stride for model in of_tier)
    resized = _LANCZOS << clip.format.subsampling_h
    margin = unit * ceil((resized + _SLACK + Fraction(field, 2) / factor) / unit)
    step = unit * max(1, round(band / width / factor / unit))
    return list(_cut(clip.height, step, margin, factor))


def check_fits(picture: Picture, size: tuple[int, int], bits: int) -> None:
    """Refuse an output that does not fit into memory even in bands.

    Args:
        picture: What was read.
        size: Width and height of the output.
        bits: Of its samples.
    """
    channels = (1 if picture.clip.format.color_family == vs.GRAY else 3) + (picture.alpha is not None)
    # Once as it is made, once turned or in the encoder's order.
    needed = 2 * size[0] * size[1] * channels * (1 if bits == 8 else 2)
    check_memory(f"{size[0]}x{size[1]}", needed, "give a smaller size, or cut the picture into parts")


def _cut(height: int, step: int, margin: int, factor: Fraction) -> Iterator[Band]:
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first, stop = max(0, top - margin), min(height, bottom + margin)
        yield Band(first, stop, int((top - first) * factor), int((bottom - top) * factor))
