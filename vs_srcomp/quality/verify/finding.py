"""What a check of a finished file finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something in which a finished file differs from what it was made of."""

    subject: str
    """What it is about: ``frames``, ``timestamps``, ``duration``, ``streams``, ``packets``, ``chapters``,
    ``attachments``, ``tags``, ``picture``, ``colour``, ``hdr`` or ``losses``."""
    message: str
    """One line, in lower case."""
    fault: bool = True
    """Whether the file is not what it should be. If not, its container or codec has no place for this."""

    def __str__(self) -> str:
        """For people."""
        return f"{self.subject}: {self.message}"
