"""A small form of each network in the registry."""

from typing import Any

import pytest
from torch import Tensor, nn

SMALL: list[tuple[str, dict[str, Any], int]] = [
    ("srcnn", {}, 1),
    ("vdsr", {"layers": 4, "width": 8}, 1),
    *(("fsrcnn", {"scale": scale, "d": 12, "s": 6, "m": 2}, scale) for scale in (2, 3, 4)),
    *(("espcn", {"scale": scale}, scale) for scale in (2, 3, 4)),
    *(("edsr", {"scale": scale, "blocks": 2, "width": 8}, scale) for scale in (2, 3, 4)),
    *(("lapsrn", {"scale": scale, "depth": 2, "width": 8}, scale) for scale in (2, 4)),
    *(("rrdb", {"scale": scale, "blocks": 1, "width": 8, "growth": 4}, scale) for scale in (2, 4)),
    *(("fd-srcnn", {"scale": scale, "width": 8}, scale) for scale in (2, 3, 4)),
    ("fd-srcnn", {"scale": 4, "width": 8, "shortcuts": False}, 4),
    *(("cisr-psi", {"scale": scale, "rounds": 2, "blocks": 1, "width": 8}, scale) for scale in (2, 3)),
]
"""Name, parameters, scale."""


EACH = pytest.mark.parametrize(("name", "parameters", "scale"), SMALL, ids=lambda value: str(value))


def outputs_of(network: nn.Module, picture: Tensor) -> tuple[Tensor, ...]:
    made = network(picture)
    return made if isinstance(made, tuple) else (made,)
