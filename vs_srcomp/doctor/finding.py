"""The result of a check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    name: str
    """The part that was checked."""
    state: Literal["fine", "note", "broken"]
    """``"note"``: something optional is missing."""
    message: str
    """The result in words."""
    remedy: str = ""
    """How to fix it."""
    fix: Callable[[], None] | None = None
    """Fixes it; OSError if that fails."""
