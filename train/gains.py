"""Gains on the validation set by kind of material: a mean over all hides what is lost on one kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from train.material.coded import Example
from train.networks.network import Network
from train.validation import Validation


@dataclass(frozen=True)
class GainsOfKind:
    """Gains on the examples of one kind, at most `train.validation.MEASURED` of them."""

    kind: str
    """See `train.material.coded.Coding.kind`."""
    examples: int
    means: Mapping[str, float]
    """Mean gain in dB over Lanczos-5, by network."""
    median_change: float
    """Median change in dB from the first network to the last: single pictures with large gains do not move it."""


def gains_by_kind(networks: Mapping[str, Network], valid: Sequence[Example]) -> list[GainsOfKind]:
    """The gains of ``networks`` on the examples of each kind in ``valid``, on the processor in float32."""
    found = []
    for kind in sorted({example.kind for example in valid}):
        validation = Validation([example for example in valid if example.kind == kind], torch.device("cpu"))
        gains = {name: validation.gains(network) for name, network in networks.items()}
        first, *_, last = [*gains.values()] * 2
        means = {name: of_network.mean().item() for name, of_network in gains.items()}
        found.append(GainsOfKind(kind, len(first), means, (last - first).median().item()))
    return found


def gains_table(found: Sequence[GainsOfKind]) -> str:
    """``found`` as Markdown."""
    names = list(found[0].means)
    lines = [
        f"| kind | examples | {' | '.join(names)} | median change, dB |",
        f"| --- | {' | '.join(['---:'] * (len(names) + 2))} |",
    ]
    for each in found:
        means = " | ".join(f"{each.means[name]:+.3f}" for name in names)
        lines.append(f"| {each.kind} | {each.examples} | {means} | {each.median_change:+.4f} |")
    return "\n".join(lines)
