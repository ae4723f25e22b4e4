"""Parts that a recipe names: one registry for each kind, one file for each part."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any


class Registry[T](Mapping[str, type[T]]):
    """From a part's name to its class, which is imported when it is asked for.

    So a part whose package is not installed, or whose platform is another, is in nobody's way.
    """

    def __init__(self, kind: str, places: Mapping[str, str]) -> None:
        """Hold parts of one ``kind`` ("network"); ``places`` maps a name to "module:Class"."""
        self.kind = kind
        self._places = dict(places)

    def __getitem__(self, name: str) -> type[T]:
        """The class called ``name``; a KeyError, which is raised by :meth:`part` as a ValueError, if there is none."""
        module, _, attribute = self._places[name].partition(":")
        found: type[T] = getattr(import_module(module), attribute)
        return found

    def __iter__(self) -> Iterator[str]:
        """The names, in the order in which they were given."""
        return iter(self._places)

    def __len__(self) -> int:
        """How many parts there are."""
        return len(self._places)

    def part(self, name: str) -> type[T]:
        """The class called ``name``.

        Raises:
            ValueError: There is none; the message names those there are.
        """
        if name not in self._places:
            raise ValueError(f"there is no {self.kind} {name!r}; there are {', '.join(self)}")
        return self[name]

    def make(self, name: str, **parameters: Any) -> T:
        """A part with its parameters, as a table of a recipe gives them.

        Raises:
            ValueError: There is no such part, it has no such parameter, or a value is not possible.
        """
        part = self.part(name)
        try:
            return part(**parameters)
        except TypeError as reason:
            raise ValueError(f"{self.kind} {name}: {reason}") from reason
