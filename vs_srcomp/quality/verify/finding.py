"""The result of a comparison."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A difference between a finished file and its source."""

    subject: str
    """``frames``, ``timestamps``, ``duration``, ``streams``, ``packets``, ``chapters``, ``attachments``, ``tags``,
    ``picture``, ``colour``, ``hdr`` or ``losses``."""
    message: str
    """One line, in lower case."""
    fault: bool = True
    """Whether it is an error. If not, the container or codec cannot store this."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"
