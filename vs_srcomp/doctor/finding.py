"""What a check says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The verdict of one check."""

    name: str
    """Of what was looked at."""
    state: Literal["fine", "note", "broken"]
    """``"note"``: something that not everybody needs is not there."""
    says: str
    """What was found."""
    todo: str = ""
    """What the user can do about it."""
    mend: Callable[[], None] | None = None
    """Does it instead of the user. OSError tells why it cannot."""
