"""The protocol of a recipe's data: what it is trained on, and what it is measured on."""

from typing import Protocol

from train.material.coded import Example
from train.material.stream import Stream

type Split = tuple[list[Example] | Stream, list[Example]]
"""Training data, and validation data."""


class Data(Protocol):
    """What the material of a recipe gives, found and split, but not loaded yet."""

    def valid(self) -> list[Example]:
        """The validation set alone; missing coded files are made."""

    def split(self, memory: float) -> Split:
        """The training set and the validation set; missing coded files are made.

        Args:
            memory: Limit for examples in bytes. If they need more, the training set is a `Stream`, and the validation
                set is smaller.
        """
