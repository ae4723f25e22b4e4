"""The command line of an encoding program."""

import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final, Self

from vs_srcomp.errors import error

PLACEHOLDERS: Final = (
    "out",
    "width",
    "height",
    "fps",
    "fps_num",
    "fps_den",
    "frames",
    "depth",
    "pixel_format",
    "threads",
    "primaries",
    "transfer",
    "matrix",
    "full_range",
)
"""Placeholders in a command. ``{out}``, with the suffix that follows it, is the file to write."""

_OUT = re.compile(r"\{out\}(?P<suffix>(?:\.\w+)*)")

# Some programs need a suffix.
_SUFFIX = ".mkv"


@dataclass(frozen=True)
class PipeCommand:
    """A command line with placeholders, split into arguments."""

    words: tuple[str, ...]
    suffix: str
    """Suffix of the file that the program writes."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split ``text`` into words as a shell would. No shell runs: there are no variables, patterns or pipes.

        Raises:
            vs.Error: It is empty or malformed, has no ``{out}``, or has an unknown placeholder.
        """
        try:
            words = shlex.split(text)
        except ValueError as reason:
            raise error(
                f"the pipe's command cannot be split into words: {str(reason).lower()}", "check its quotes"
            ) from None
        suffixes = {match["suffix"] for word in words for match in _OUT.finditer(word)}
        if not suffixes:
            raise error(
                f"the pipe's command {text!r} has no {{out}}",
                "add it as the output file, such as: SvtAv1EncApp -i stdin -b {out}.ivf",
            )
        if len(suffixes) > 1:
            names = " and ".join(f"{{out}}{suffix}" for suffix in sorted(suffixes))
            raise error(f"the pipe's command writes to {names}", "let it write one file only")
        _check_placeholders(words)
        return cls(tuple(words), suffixes.pop() or _SUFFIX)

    @property
    def program(self) -> str:
        """The program as the user has written it."""
        return self.words[0]

    @property
    def path(self) -> str:
        """The path of the program.

        Raises:
            vs.Error: There is no such program.
        """
        found = shutil.which(self.program)
        if found is None:
            raise error(f"there is no program {self.program!r}", "install it, or give its path in --pipe")
        return found

    def arguments(self, out: str, values: Mapping[str, object]) -> list[str]:
        """The command line to run.

        Args:
            out: Path of the file to write, which ends in ``suffix``.
            values: Values of all other placeholders, by name.
        """
        known = {**values, "out": out}
        return [self.path, *(_OUT.sub("{out}", word).format_map(known) for word in self.words[1:])]


def _check_placeholders(words: list[str]) -> None:
    for word in words[1:]:
        try:
            names = {name for _, name, _, _ in Formatter().parse(word) if name is not None}
        except ValueError as reason:
            raise error(f"{word!r} in the pipe's command: {str(reason).lower()}", "write braces as {{ and }}") from None
        if unknown := sorted(names - {*PLACEHOLDERS}):
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise error(
                f"the pipe's command has the unknown placeholder {{{unknown[0]}}}",
                f"use {known}, and write other braces as {{{{ and }}}}",
            )
