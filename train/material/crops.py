"""The random crops that training draws, from planes that lie in the memory of the device that computes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from train.material.coded import Example

# Where every ratio repeats: 8:5 makes eight pixels of five. A crop that begins there lies on Lanczos's phases as the
# corner of a picture does; a network with steps of its own learns to rely on that.
PHASES: Final = 8

# Levels that differ by so much are compared when a picture's weight is found.
_NEAR_LEVELS: Final = 5.0
# Of a picture that lost nothing, in squared codes: as if one code in a thousand pixels were off by one.
_LEAST_ERROR: Final = 1e-3


@dataclass(frozen=True)
class Crops:
    """A batch: luma, or RGB, in 0..1."""

    source: Tensor
    """(N, C, crop / scale, crop / scale): what the network gets."""
    targets: tuple[Tensor, ...]
    """The originals, (N, C, crop, crop), and where they are known the sources before compression."""
    q: Tensor
    """(N,): the levels."""
    weight: Tensor
    """(N,), about 1 in the mean."""


class CropBank:
    """Random square crops with a random one of the square's eight symmetries (dihedral augmentation).

    They begin at multiples of ``PHASES``, and so, mirrored, do those whose side is a multiple of it.

    Each crop carries a weight of about one over its picture's own error: the gain that is reported is a mean of
    decibels over pictures, and this makes squared error its first-order equivalent, where plain squared error would
    only serve the busiest pictures and the coarsest levels.
    """

    def __init__(self, examples: Sequence[Example], crop: int, device: torch.device) -> None:
        """Put ``examples`` on ``device``; those smaller than ``crop`` are left out.

        Raises:
            ValueError: None is large enough, or ``crop`` does not fit the scale.
        """
        chosen = [example for example in examples if min(example.original.shape[:2]) >= crop]
        if not chosen:
            raise ValueError(f"no picture is as large as a crop of {crop}x{crop}")
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
        """``count`` crops, by the device's random numbers or ``generator``'s."""
        random = torch.rand(6, count, device=self._device, generator=generator)
        chosen = (random[0] * len(self._levels)).long()
        top, left = ((random[1 + axis] * self._places[chosen, axis]).long().mul_(self._step) for axis in (0, 1))
        # Beyond the rounding of random numbers, which may reach the end of their range.
        symmetry = tuple(random[3 + axis] < 0.5 for axis in range(3))
        target = self._original.cut(chosen, top, left, self._crop, symmetry)
        top, left, small = top // self.scale, left // self.scale, self._crop // self.scale
        source = self._degraded.cut(chosen, top, left, small, symmetry)
        targets = (target,) if self._clean is None else (target, self._clean.cut(chosen, top, left, small, symmetry))
        return Crops(source, targets, self._levels[chosen], self._weights[chosen])


class _Planes:
    """Pictures of all sizes, one after the other in one piece of memory."""

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
        """Squares of the pictures ``chosen``, (N, C, side, side) in 0..1, mirrored and turned by ``symmetry``."""
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
    """Crops of originals begin at multiples of this; ValueError if ``crop`` does not fit the scale."""
    if crop % scale:
        raise ValueError(f"crop {crop} is not a multiple of the scale {scale}")
    return PHASES if PHASES % scale == 0 else scale


def scale_of(example: Example) -> int:
    """How many times as large as its source the original is."""
    large, small = len(example.original), len(example.degraded)
    return round(large / small)


class Weighting:
    """About one over each example's error, in terms of those of like levels."""

    def __init__(self, examples: Sequence[Example]) -> None:
        """Learn from ``examples`` what errors are usual; their own weights are 1 in the mean."""
        self._is_flat = scale_of(examples[0]) > 1
        self._levels = np.array([example.q for example in examples])
        self._errors = np.array([0.0 if self._is_flat else max(example.error, _LEAST_ERROR) for example in examples])
        self._mean = 1.0
        self._mean = float(np.mean([self.of(example) for example in examples]))

    def of(self, example: Example) -> float:
        """The weight of ``example``, which may be another one; 1 for networks that enlarge."""
        if self._is_flat:
            return 1.0
        near = abs(self._levels - example.q) <= _NEAR_LEVELS
        usual = self._errors[near if near.any() else ...].mean()
        return float(1 / (max(example.error, _LEAST_ERROR) + 0.2 * usual) / self._mean)
