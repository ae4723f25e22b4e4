"""Judging crisp runs on crops of validation pictures: what is chosen here has not seen a test set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import vapoursynth as vs
from torch import Tensor

from train.evaluate import REFERENCE, method_of
from train.looks import SHARPNESSES, LookScore, LookScorer, sharpened_name
from train.material.coded import Example
from train.material.pictures import Plane, clip_planes, planes_to_clip
from train.networks.network import Network, outputs_of
from train.recipe import Recipe
from train.trained import installed_network
from train.validation import VALIDATION_CROP, middles, remove_drift
from vs_srcomp.geometry import QUANTIZERS
from vs_srcomp.models import models
from vs_srcomp.upscale import sharpened

_CODES: Final = (16, 48, 80, 112, 144, 176, 208, 235)
# Side of what is measured of a constant picture: whole cells of every stride.
_INSIDE: Final = 16
_CPU: Final = torch.device("cpu")


@dataclass(frozen=True)
class Shift:
    """How far a network moves constant pictures at a level, in codes: the least and the largest over `_CODES`."""

    q: int
    least: float
    largest: float


def faithful_of(recipe: Recipe) -> Network:
    """The faithful network of the package for tier and ratio of ``recipe``.

    Raises:
        ValueError: The recipe is not one for a tier's crisp network, or the package has no faithful one.
    """
    ratio = recipe.ratio
    if recipe.look != "crisp" or recipe.tier is None or ratio is None:
        raise ValueError(f"{recipe.name} is not a tier's crisp network: others are judged by the gain that fit shows")
    of_tier = [m for m in models() if (m.tier, m.ratio, m.look) == (recipe.tier, ratio.name, "faithful")]
    if not of_tier:
        raise ValueError(f"there is no faithful {recipe.tier} at {ratio.name} to compare with")
    return installed_network(of_tier[0].name)


def judge(
    recipe: Recipe, network: Network, faithful: Network, valid: Sequence[Example], crops: int
) -> Iterator[LookScore]:
    """Score ``network`` beside ``faithful`` of any sharpness on centre crops of at most ``crops`` examples.

    These are spread evenly over the levels of ``valid``. The methods are those of `train.looks.compare_looks`; all
    scores have the recipe's name as their pair. The networks run in PyTorch in float32.

    Raises:
        ValueError: No example is as large as a crop.
    """
    scorer = LookScorer()
    tier = str(recipe.tier)
    for index, (source, original, q) in enumerate(middles(evenly(valid, crops), _CPU)):
        restored = _codes(_run(faithful, source, q))
        clip = planes_to_clip([restored], vs.GRAY8)
        lumas = {REFERENCE: _codes(source)}
        for sharpness in SHARPNESSES:
            lumas[sharpened_name(tier, sharpness)] = clip_planes(sharpened(clip, sharpness))[0]
        lumas[method_of(tier, "crisp")] = _codes(_run(network, source, q))
        yield from scorer.scores(recipe.name, f"{index}", lumas, _codes(original))


def evenly(examples: Sequence[Example], count: int) -> list[Example]:
    """At most ``count`` of the examples that are as large as a crop, evenly from the lowest to the highest level.

    Raises:
        ValueError: None is as large.
    """
    large = sorted(
        (example for example in examples if min(example.original.shape) >= VALIDATION_CROP),
        key=lambda example: example.q,
    )
    if not large:
        size = f"{VALIDATION_CROP}x{VALIDATION_CROP}"
        raise ValueError(f"no validation picture is as large as a crop of {size}: give larger ones with --images")
    # The middle of each of as many equal parts.
    parts = min(count, len(large))
    return [large[(2 * part + 1) * len(large) // (2 * parts)] for part in range(parts)]


def without_drift(network: Network, valid: Sequence[Example]) -> Network:
    """``network`` as it would be exported: its mean residual on ``valid`` is taken out."""
    remove_drift(network, valid, _CPU)
    return network


def shifts(network: Network) -> list[Shift]:
    """How far ``network`` moves constant pictures of dark to bright codes, at each of `QUANTIZERS`."""
    codes = torch.tensor(_CODES, dtype=torch.float32).view(-1, 1, 1, 1)
    # Padding does not reach the middle.
    border = -(-network.receptive_field // (2 * _INSIDE)) * _INSIDE
    side = border + _INSIDE + border
    pictures = (codes / 255).expand(-1, 1, side, side).contiguous()
    inside = slice(border, border + _INSIDE)
    found = []
    for level in QUANTIZERS:
        away = 255 * (_run(network, pictures, torch.full((len(_CODES),), float(level))) - pictures)
        means = away[:, 0, inside, inside].mean(dim=(1, 2))
        found.append(Shift(level, float(means.min()), float(means.max())))
    return found


def shift_table(network: Network) -> str:
    """The :func:`shifts` of ``network`` as Markdown."""
    rows = [f"| {shift.q} | {shift.least:+.2f} to {shift.largest:+.2f} |" for shift in shifts(network)]
    return "\n".join(["| Q | shift of constant pictures, codes |", "| ---: | ---: |", *rows])


@torch.no_grad()
def _run(network: Network, luma: Tensor, q: Tensor) -> Tensor:
    return outputs_of(network, luma, q)[0].float()


def _codes(luma: Tensor) -> Plane:
    """(1, 1, H, W) in 0..1 as 8-bit codes, (H, W)."""
    codes: Plane = (luma[0, 0].clamp(0, 1) * 255).round().numpy().astype(np.uint8)
    return codes
