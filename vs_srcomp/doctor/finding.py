"""The result of a check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    name: str
    """Of the part that was checked."""
    state: Literal["fine", "note", "broken"]
    """``"note"``: something that not everybody needs is not there."""
    message: str
    """The result in words."""
    remedy: str = ""
    """How the user can repair it."""
    fix: Callable[[], None] | None = None
    """Does it for the user; OSError if it cannot."""
