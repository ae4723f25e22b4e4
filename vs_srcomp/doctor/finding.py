"""The result of a check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    name: str
    """Of what was looked at."""
    state: Literal["fine", "note", "broken"]
    """``"note"``: something that not everybody needs is not there."""
    says: str
    """What was found."""
    todo: str = ""
    """What the user can do about it."""
    mend: Callable[[], None] | None = None
    """Does it for the user; OSError if it cannot."""
