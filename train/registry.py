"""Registries of the parts that recipes can name: networks, degradations, objectives, materials, metrics."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from inspect import Parameter, signature
from math import isfinite
from typing import Any

NAMED = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
# What a parameter with a plain annotation takes, in words and as types.
KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    bool: ("true or false", (bool,)),
    str: ("a text", (str,)),
}


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

    def require(self, name: str) -> None:
        """Raise ValueError, with the list of parts, if there is no ``name``; nothing is imported."""
        if name not in self._places:
            raise ValueError(f"there is no {self.kind} {name!r}; there are {', '.join(self)}")

    def part(self, name: str) -> type[T]:
        """The class called ``name``.

        Raises:
            ValueError: There is no such part; the message lists the parts.
        """
        self.require(name)
        return self[name]

    def make(self, name: str, **parameters: Any) -> T:
        """A part with the parameters of a recipe's table.

        Raises:
            ValueError: There is no such part or parameter, or a value is wrong.
        """
        self.check(name, **parameters)
        try:
            return self.part(name)(**parameters)
        except TypeError as reason:
            raise ValueError(f"{self.kind} {name}: {reason}") from reason

    def check(self, name: str, **parameters: Any) -> None:
        """Check that there is such a part, and that it takes and needs these parameters, without making it.

        Raises:
            ValueError: It is not so; the message lists the parameters.
        """
        takes = signature(self.part(name)).parameters
        free = any(entry.kind is Parameter.VAR_KEYWORD for entry in takes.values())
        known = {key: entry for key, entry in takes.items() if entry.kind in NAMED}
        if not free and (unknown := parameters.keys() - known.keys()):
            listed = f"it has {', '.join(known)}" if known else "it has none"
            raise ValueError(f"{self.kind} {name} has no parameter {', '.join(sorted(unknown))}; {listed}")
        if missing := [
            key for key, entry in known.items() if entry.default is Parameter.empty and key not in parameters
        ]:
            raise ValueError(f"{self.kind} {name} needs {', '.join(missing)}")
        for key in known.keys() & parameters.keys():
            meaning, kinds = KINDS.get(known[key].annotation, ("", (object,)))
            value = parameters[key]
            of_number = known[key].annotation in (int, float)
            if not isinstance(value, kinds) or (of_number and not is_number(value)):
                raise ValueError(f"{self.kind} {name}: {key} is {meaning}, not {value!r}")


def is_number(value: object) -> bool:
    """Whether a recipe's ``value`` is a number that fits a float, and finite; true and false are none."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:
        return False
