"""Gain of a network on the validation set."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from train.material.coded import Example
from train.material.crops import scale_of
from train.networks.network import outputs_of

VALIDATION_CROP: Final = 256
MEASURED: Final = 120
"""Maximum number of examples."""

# Batch size.
_TOGETHER: Final = 16
# Least error, for a finite PSNR of exact results: as if one pixel in a thousand were off by 2 codes.
_LEAST_ERROR: Final = 6e-8


class Validation:
    """Centre crops of examples, on the device, and a network's gain on them."""

    def __init__(self, examples: Sequence[Example], device: torch.device) -> None:
        """Take at most ``MEASURED`` of the ``examples``, always the same ones."""
        alike: dict[tuple[torch.Size, torch.Size], list[tuple[Tensor, Tensor, Tensor]]] = {}
        for middle in middles(sample(examples), device):
            alike.setdefault((middle[0].shape, middle[1].shape), []).append(middle)
        self._batches = [
            tuple(torch.cat(column) for column in zip(*of_shape[at : at + _TOGETHER], strict=True))
            for of_shape in alike.values()
            for at in range(0, len(of_shape), _TOGETHER)
        ]
        self.pixels = sum(original.shape[0] * original.shape[2] * original.shape[3] for _, original, _ in self._batches)

    def gain(self, network: nn.Module) -> float:
        """Mean PSNR in dB, minus that of the sources if these have the size of the originals."""
        return self.gains(network).mean().item()

    @torch.no_grad()
    def gains(self, network: nn.Module) -> Tensor:
        """The PSNR of each example, (N,), as in `gain`; in the same order for every network."""
        gains = []
        for source, original, q in self._batches:
            restored = (outputs_of(network, source, q)[0].float().clamp(0, 1) * 255).round() / 255
            after = (restored - original).square().mean(dim=(1, 2, 3)).clamp_min(_LEAST_ERROR)
            before = torch.ones_like(after)
            if source.shape == original.shape:
                before = (source - original).square().mean(dim=(1, 2, 3)).clamp_min(_LEAST_ERROR)
            gains.append(10 * torch.log10(before / after))
        return torch.cat(gains)


@torch.no_grad()
def remove_drift(network: Any, examples: Sequence[Example], device: torch.device) -> None:
    """Make the network's mean residual over ``examples`` zero: restoring must not brighten or darken.

    Training leaves some hundredths of a code, which undo the codec's rounding.
    """
    few = middles(sample(examples), device)
    drift = np.mean([(network(source, q) - source).mean().item() for source, _, q in few])
    network.shift_residual(-float(drift))


def sample(examples: Sequence[Example], count: int = MEASURED) -> Sequence[Example]:
    """At most ``count`` of ``examples``, in their order, always the same ones.

    Evenly spaced ones would be in step with the material, which repeats: five levels a still, eight frames a clip.
    """
    if len(examples) <= count:
        return examples
    chosen = np.random.default_rng(0).permutation(len(examples))[:count]
    return [examples[index] for index in sorted(chosen)]


def middles(
    examples: Sequence[Example], device: torch.device, crop: int = VALIDATION_CROP
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Centre crops of examples, at most about ``crop`` pixels wide and high: source, original, and level (1,).

    Sources begin at multiples of eight pixels, and their sides are multiples of it.
    """
    for example in examples:
        scale = scale_of(example)
        sides = [min(size, crop // scale) // 8 * 8 for size in example.degraded.shape[:2]]
        corner = [(size - side) // 2 // 8 * 8 for size, side in zip(example.degraded.shape[:2], sides, strict=True)]
        window = tuple(slice(start, start + side) for start, side in zip(corner, sides, strict=True))
        large = tuple(slice(part.start * scale, part.stop * scale) for part in window)
        source, original = to_luma(example.degraded[window], device), to_luma(example.original[large], device)
        yield source, original, torch.tensor([example.q], device=device)


def to_luma(codes: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Convert 8-bit codes, (H, W) or (H, W, C), to (1, C, H, W) in 0..1."""
    planar = np.ascontiguousarray(np.atleast_3d(codes).transpose(2, 0, 1))
    return torch.from_numpy(planar).to(device).unsqueeze(0).float() / 255
