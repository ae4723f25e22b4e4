"""One of several degradations, at random for each picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from train.degradations.degradation import Degradation, Degraded, Picture


class Mixture:
    """A random one of ``parts`` for each picture.

    In a recipe::

        [degradation]
        name = "mixture"
        ratio = 2

        [[degradation.parts]]
        name = "jpeg"
        share = 2
        lowest = 20

        [[degradation.parts]]
        name = "webp"

    Keys next to ``parts`` apply to every part; ``share`` is the relative frequency of a part, by default 1.
    """

    def __init__(self, *, parts: Sequence[dict[str, Any]], **common: Any) -> None:
        """Make the parts.

        Raises:
            ValueError: There are no parts, one is unknown, or its parameters are invalid.
        """
        from train.degradations import DEGRADATIONS

        if not parts:
            raise ValueError("a mixture needs parts: [[degradation.parts]] with a name")
        self.parts: list[Degradation] = []
        shares = []
        for part in parts:
            parameters = common | part
            if "name" not in parameters:
                raise ValueError(f"a part of a mixture needs a name: {part}")
            shares.append(float(parameters.pop("share", 1.0)))
            self.parts.append(DEGRADATIONS.make(parameters.pop("name"), **parameters))
        self.shares = np.array(shares) / sum(shares)

    def __call__(self, picture: Picture, rng: np.random.Generator) -> Degraded:
        """Degrade ``picture`` with a random part."""
        return self.parts[int(rng.choice(len(self.parts), p=self.shares))](picture, rng)
