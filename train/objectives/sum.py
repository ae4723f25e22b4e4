"""A sum of objectives."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from train.material.crops import Crops
from train.objectives.objective import Objective
from train.objectives.points import Points, read_points


class Term(NamedTuple):
    """A term of a sum, as a recipe states it."""

    name: str
    schedule: Points
    """Weights at shares of the steps."""
    parameters: dict[str, Any]


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

        read = read_terms(terms)
        self.schedules = [term.schedule for term in read]
        parts = [OBJECTIVES.make(term.name, **term.parameters) for term in read]
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
        return _weight_at(self.schedules[index], done)

    def forward(self, outputs: tuple[Tensor, ...], crops: Crops, done: float) -> Tensor:
        """The loss of the network."""
        loss = outputs[0].new_zeros(())
        for index, term in enumerate(self._parts()):
            if weight := self.weight(index, done):
                loss = loss + weight * term(outputs, crops, done)
        return loss

    def discriminator_loss(self, outputs: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> Tensor:
        """The loss of the discriminator of the adversarial term."""
        if self._adversary is None:
            return super().discriminator_loss(outputs, targets)
        return self._parts()[self._adversary].discriminator_loss(outputs, targets)

    def _parts(self) -> list[Objective]:
        return [part for part in self.terms if isinstance(part, Objective)]


def read_terms(terms: Any) -> list[Term]:
    """The terms of a recipe's table, without making the objectives.

    Raises:
        ValueError: There are no terms, one has no name or a wrong weight, or all weights are 0 at some moment.
    """
    if not isinstance(terms, Sequence) or isinstance(terms, str) or not terms:
        raise ValueError("a sum needs terms: [[objective.terms]] with a name and a weight")
    read = []
    for term in terms:
        if not isinstance(term, Mapping) or not isinstance(term.get("name"), str):
            raise ValueError(f"a term of a sum needs a name: {term}")
        parameters = {key: value for key, value in term.items() if key not in ("name", "weight")}
        read.append(Term(term["name"], _schedule(term["name"], term.get("weight", 1.0)), parameters))
    # Weights are 0 or more and linear between the points, so that the sum of them is 0 at a point if anywhere, or
    # between two points where it is 0 at both.
    for moment in sorted({0.0, 1.0, *(place for term in read for place, _ in term.schedule)}):
        if not any(_weight_at(term.schedule, moment) for term in read):
            raise ValueError(f"all weights of the sum are 0 at {moment:g} of the steps")
    return read


def _weight_at(schedule: Points, done: float) -> float:
    places, weights = zip(*schedule, strict=True)
    return float(np.interp(done, places, weights))


def _schedule(name: str, weight: Any) -> Points:
    points = read_points(weight if isinstance(weight, list) else [[0.0, weight]])
    if points is None or points[0][0] < 0 or points[-1][0] > 1:
        raise ValueError(
            f"the term {name}: weight is a number, or a schedule, which is a list of [share of the steps, weight], "
            f"in order, not {weight!r}"
        )
    if any(value < 0 for _, value in points):
        raise ValueError(f"the term {name}: a weight is 0 or more, not {weight}")
    return points
