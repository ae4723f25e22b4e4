"""A sum of objectives."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from train.objectives.objective import Objective


class Sum(Objective):
    """The weighted sum of ``terms``; weights may change during training.

    In a recipe::

        [objective]
        name = "sum"

        [[objective.terms]]
        name = "l1"
        weight = 0.01

        [[objective.terms]]
        name = "adversarial"
        weight = [[0.0, 0.0], [0.1, 0.005]]

    A list has the weight at shares of the steps, with linear interpolation: here 0 at the start, 0.005 from a tenth of
    the steps on. A term with the weight 0 is not computed.
    """

    def __init__(self, *, terms: Sequence[dict[str, Any]]) -> None:
        """Make the terms.

        Raises:
            ValueError: There are no terms, one is unknown, or two have a discriminator.
        """
        super().__init__()
        from train.objectives import OBJECTIVES

        if not terms:
            raise ValueError("a sum needs terms: [[objective.terms]] with a name and a weight")
        self.schedules: list[list[list[float]]] = []
        parts: list[Objective] = []
        for term in terms:
            parameters = dict(term)
            if "name" not in parameters:
                raise ValueError(f"a term of a sum needs a name: {term}")
            self.schedules.append(_schedule(parameters.pop("weight", 1.0)))
            parts.append(OBJECTIVES.make(parameters.pop("name"), **parameters))
        adversaries = [part for part in parts if part.discriminator is not None]
        if len(adversaries) > 1:
            raise ValueError("a sum can have one adversarial term")
        self.terms = nn.ModuleList(parts)
        self._adversary = parts.index(adversaries[0]) if adversaries else None

    @property
    def discriminator(self) -> nn.Module | None:
        """The discriminator of the adversarial term, if there is one."""
        return None if self._adversary is None else self._parts()[self._adversary].discriminator

    def weight(self, index: int, done: float) -> float:
        """Weight of a term after a share ``done`` of the steps."""
        places, weights = zip(*self.schedules[index], strict=True)
        return float(np.interp(done, places, weights))

    def forward(self, outputs: tuple[Tensor, ...], targets: tuple[Tensor, ...], weights: Tensor, done: float) -> Tensor:
        """The loss of the network."""
        loss = outputs[0].new_zeros(())
        for index, term in enumerate(self._parts()):
            if weight := self.weight(index, done):
                loss = loss + weight * term(outputs, targets, weights, done)
        return loss

    def discriminator_loss(self, outputs: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> Tensor:
        """The loss of the discriminator of the adversarial term."""
        if self._adversary is None:
            return super().discriminator_loss(outputs, targets)
        return self._parts()[self._adversary].discriminator_loss(outputs, targets)

    def _parts(self) -> list[Objective]:
        return [part for part in self.terms if isinstance(part, Objective)]


def _schedule(weight: float | list[list[float]]) -> list[list[float]]:
    points = weight if isinstance(weight, list) else [[0.0, weight]]
    places = [place for place, _ in points]
    if not points or places != sorted(places) or places[0] < 0 or places[-1] > 1:
        raise ValueError(f"a weight's schedule is a list of [share of the steps, weight], in order, not {weight}")
    return [[float(place), float(value)] for place, value in points]
