"""Registries of the parts that recipes can name: networks, degradations, objectives, materials, metrics."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any


class Registry[T](Mapping[str, type[T]]):
    """Maps a part's name to its class, which is imported on demand: a part may need an optional package."""

    def __init__(self, kind: str, places: Mapping[str, str]) -> None:
        """Hold parts of one ``kind`` ("network"); ``places`` maps a name to "module:Class"."""
        self.kind = kind
        self._places = dict(places)

    def __getitem__(self, name: str) -> type[T]:
        """The class called ``name``, or KeyError; :meth:`part` raises a ValueError with the list of names instead."""
        module, _, attribute = self._places[name].partition(":")
        found: type[T] = getattr(import_module(module), attribute)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def part(self, name: str) -> type[T]:
        """The class called ``name``.

        Raises:
            ValueError: There is no such part; the message lists the parts.
        """
        if name not in self._places:
            raise ValueError(f"there is no {self.kind} {name!r}; there are {', '.join(self)}")
        return self[name]

    def make(self, name: str, **parameters: Any) -> T:
        """A part with the parameters of a recipe's table.

        Raises:
            ValueError: There is no such part or parameter, or a value is wrong.
        """
        part = self.part(name)
        try:
            return part(**parameters)
        except TypeError as reason:
            raise ValueError(f"{self.kind} {name}: {reason}") from reason
