"""One of several degradations, at random for each picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from train.degradations.degradation import Degradation, Degraded, Picture
from train.registry import is_number


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

        self.parts: list[Degradation] = []
        shares = []
        for part in check_parts(parts):
            parameters = common | dict(part)
            shares.append(float(parameters.pop("share", 1.0)))
            self.parts.append(DEGRADATIONS.make(parameters.pop("name"), **parameters))
        self.shares = np.array(shares) / sum(shares)

    def __call__(self, picture: Picture, rng: np.random.Generator) -> Degraded:
        """Degrade ``picture`` with a random part."""
        return self.parts[int(rng.choice(len(self.parts), p=self.shares))](picture, rng)


def check_parts(parts: Any) -> Sequence[Mapping[str, Any]]:
    """``parts``, which are tables with a name and a share above 0; ValueError if they are not."""
    if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
        raise ValueError("a mixture needs parts: [[degradation.parts]] with a name")
    for part in parts:
        if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
            raise ValueError(f"a part of a mixture needs a name: {part}")
        share = part.get("share", 1.0)
        if not is_number(share) or share <= 0:
            raise ValueError(f"the part {part['name']} of a mixture: share is a number above 0, not {share!r}")
    return parts
