"""Gains on the validation set by kind of material: a mean over all hides what is lost on one kind.

Networks that enlarge have no sources to gain over: theirs is the PSNR.
"""

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
    """Mean gain in dB over Lanczos-5, or PSNR, by network."""
    median_change: float | None
    """Median change in dB from the first network to the last, which single pictures with large gains do not move; None
    with one network."""


def gains_by_kind(networks: Mapping[str, Network], valid: Sequence[Example]) -> list[GainsOfKind]:
    """The gains of ``networks`` on the examples of each kind in ``valid``, on the processor in float32."""
    found = []
    for kind in sorted({example.kind for example in valid}):
        validation = Validation([example for example in valid if example.kind == kind], torch.device("cpu"))
        gains = {name: validation.gains(network) for name, network in networks.items()}
        first, *others = gains.values()
        means = {name: of_network.mean().item() for name, of_network in gains.items()}
        change = (others[-1] - first).median().item() if others else None
        found.append(GainsOfKind(kind or "all", len(first), means, change))
    return found


def gains_table(found: Sequence[GainsOfKind], *, enlarges: bool = False) -> str:
    """``found`` as Markdown; of networks that enlarge, with PSNR."""
    names = list(found[0].means)
    head = ["kind", "examples", *(f"{name}, PSNR in dB" if enlarges else name for name in names)]
    head += ["median change, dB"] if found[0].median_change is not None else []
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for each in found:
        means = [f"{each.means[name]:.3f}" if enlarges else f"{each.means[name]:+.3f}" for name in names]
        change = [f"{each.median_change:+.4f}"] if each.median_change is not None else []
        rows.append([each.kind, str(each.examples), *means, *change])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
