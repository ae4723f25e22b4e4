"""Random training crops from planes in the memory of the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from train.material.coded import Example

# Lanczos phases repeat after eight pixels at every ratio: 8:5 makes eight pixels of five. Crops that start at multiples
# have the phases of a picture's corner, on which networks with a stride learn to rely.
PHASES: Final = 8

# A picture's weight is relative to examples whose level differs by no more than this.
_NEAR_LEVELS: Final = 5.0
AT_BORDERS: Final = 0.05
"""Share of crops at each border of a picture, beyond those that are there by chance."""

# Least error, in squared codes, for pictures without loss: as if one pixel in a thousand were off by one code.
_LEAST_ERROR: Final = 1e-3


@dataclass(frozen=True)
class Crops:
    """A batch of luma or RGB crops in 0..1."""

    source: Tensor
    """Network input, (N, C, crop / scale, crop / scale)."""
    targets: tuple[Tensor, ...]
    """The originals, (N, C, crop, crop); then, if known, the sources before compression."""
    q: Tensor
    """Levels, (N,)."""
    weight: Tensor
    """Weights, (N,), about 1 on average."""


class CropBank:
    """Random square crops, each in a random one of the square's eight symmetries (dihedral augmentation).

    Crops start at multiples of ``PHASES``; so do mirrored ones if their side is a multiple of it.

    The weight of a crop is about one over its picture's error. This makes squared error the first-order equivalent of
    the reported gain, a mean of decibels over pictures. Plain squared error would favour the busiest pictures and the
    coarsest levels.
    """

    def __init__(self, examples: Sequence[Example], crop: int, device: torch.device) -> None:
        """Copy ``examples`` to ``device``, except those smaller than ``crop``.

        Raises:
            ValueError: None is large enough, or ``crop`` is not a multiple of the scale.
        """
        chosen = [example for example in examples if min(example.original.shape[:2]) >= crop]
        if not chosen:
            raise ValueError(f"no picture is as large as a crop of {crop}x{crop}: lower crop in the recipe")
        self.scale = scale_of(chosen[0])
        self._crop, self._device = crop, device
        self._step = crop_step(crop, self.scale)
        self._degraded = _Planes([example.degraded for example in chosen], device)
        self._original = _Planes([example.original for example in chosen], device)
        clean = [example.clean for example in chosen if example.clean is not None]
        self._clean = _Planes(clean, device) if len(clean) == len(chosen) else None
        self._levels = torch.tensor([example.q for example in chosen], device=device)
        weighting = Weighting(chosen)
        self._weights = torch.tensor([weighting.of(example) for example in chosen], device=device)
        places = [[(size - crop) // self._step + 1 for size in example.original.shape[:2]] for example in chosen]
        self._places = torch.tensor(places, device=device)

    def draw(self, count: int, generator: torch.Generator | None = None) -> Crops:
        """Draw ``count`` crops, with the device's default generator or ``generator``."""
        random = torch.rand(6, count, device=self._device, generator=generator)
        chosen = (random[0] * len(self._levels)).long()
        # Borders, where pictures have lines and bars and networks see no neighbours, come more often than by chance.
        beyond = (1 + 2 * AT_BORDERS) * random[1:3] - AT_BORDERS
        inside = beyond.clamp(0, 1 - 1e-6)
        top, left = ((inside[axis] * self._places[chosen, axis]).long().mul_(self._step) for axis in (0, 1))
        # Transposition, vertical flip, horizontal flip.
        symmetry = tuple(random[3 + axis] < 0.5 for axis in range(3))
        target = self._original.cut(chosen, top, left, self._crop, symmetry)
        top, left, small = top // self.scale, left // self.scale, self._crop // self.scale
        source = self._degraded.cut(chosen, top, left, small, symmetry)
        targets = (target,) if self._clean is None else (target, self._clean.cut(chosen, top, left, small, symmetry))
        return Crops(source, targets, self._levels[chosen], self._weights[chosen])


class _Planes:
    """Pictures of different sizes in one tensor, one after the other."""

    def __init__(self, pictures: Sequence[np.ndarray], device: torch.device) -> None:
        unique = {id(picture): picture for picture in pictures}
        planar = {key: np.atleast_3d(picture).transpose(2, 0, 1) for key, picture in unique.items()}
        begins = dict(zip(planar, np.cumsum([0, *(plane.size for plane in planar.values())]), strict=False))
        self._codes = torch.from_numpy(np.concatenate([plane.ravel() for plane in planar.values()])).to(device)
        self._channels = next(iter(planar.values())).shape[0]

        def numbers(of: list[int]) -> Tensor:
            return torch.tensor(of, device=device)

        self._begin = numbers([int(begins[id(picture)]) for picture in pictures])
        self._width = numbers([picture.shape[1] for picture in pictures])
        self._size = numbers([picture.shape[0] * picture.shape[1] for picture in pictures])

    def cut(self, chosen: Tensor, top: Tensor, left: Tensor, side: int, symmetry: tuple[Tensor, ...]) -> Tensor:
        """Crops of the pictures ``chosen``, (N, C, side, side) in 0..1, flipped and transposed by ``symmetry``."""
        transposed, upside_down, mirrored = (flag[:, None, None] for flag in symmetry)
        line = torch.arange(side, device=chosen.device)
        down, across = line[None, :, None], line[None, None, :]
        row = torch.where(transposed, across, down)
        column = torch.where(transposed, down, across)
        row = torch.where(upside_down, side - 1 - row, row)
        column = torch.where(mirrored, side - 1 - column, column)
        width = self._width[chosen][:, None, None]
        index = (self._begin[chosen] + left)[:, None, None] + (top[:, None, None] + row) * width + column
        channel = torch.arange(self._channels, device=chosen.device)[:, None, None]
        index = index[:, None] + channel * self._size[chosen][:, None, None, None]
        return self._codes[index].float() / 255


def crop_step(crop: int, scale: int) -> int:
    """Step between crop positions in the original; ValueError if ``crop`` is not a multiple of the scale."""
    if crop % scale:
        raise ValueError(f"crop {crop} is not a multiple of the scale {scale}")
    return PHASES if PHASES % scale == 0 else scale


def scale_of(example: Example) -> int:
    """Size of the original over that of its source."""
    large, small = len(example.original), len(example.degraded)
    return round(large / small)


class Weighting:
    """Weights of about one over an example's error, relative to examples of similar levels."""

    def __init__(self, examples: Sequence[Example]) -> None:
        """Take the usual errors from ``examples``; their weights are 1 on average."""
        self._is_flat = scale_of(examples[0]) > 1
        self._levels = np.array([example.q for example in examples])
        self._errors = np.array([0.0 if self._is_flat else max(example.error, _LEAST_ERROR) for example in examples])
        # By level: patches are many thousands, of a few levels.
        self._usual: dict[float, float] = {}
        self._mean = 1.0
        self._mean = float(np.mean([self.of(example) for example in examples]))

    def of(self, example: Example) -> float:
        """The weight of any ``example``; 1 for networks that upscale."""
        if self._is_flat:
            return 1.0
        if example.q not in self._usual:
            near = abs(self._levels - example.q) <= _NEAR_LEVELS
            self._usual[example.q] = float(self._errors[near if near.any() else ...].mean())
        return 1 / (max(example.error, _LEAST_ERROR) + 0.2 * self._usual[example.q]) / self._mean
