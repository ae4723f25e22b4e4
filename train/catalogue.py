"""The catalogue of models, models.json, as a list of entries: what export, calibration and measurements write."""

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from vs_srcomp.files import write_atomically
from vs_srcomp.models.catalogue import SYSTEM

type Entry = dict[str, Any]
"""A model, in the form of engines/models.schema.json."""


def enter(entry: Entry, catalogue: Path) -> None:
    """Add ``entry`` to the catalogue, or replace the entry of the same name; entries stay sorted."""
    entries = read_entries(catalogue)
    entries = [*(other for other in entries if other["name"] != entry["name"]), entry]
    entries.sort(key=_place)
    write_entries(entries, catalogue)


def write_entries(entries: Sequence[Entry], catalogue: Path) -> None:
    """Write ``entries`` as they are, in place of those of the catalogue."""
    write_atomically(catalogue, (json.dumps({"models": entries}, indent=2) + "\n").encode())


def read_entries(catalogue: Path) -> list[Entry]:
    """The entries of a catalogue, none if it does not exist; ValueError if it is damaged."""
    try:
        entries: list[Entry] = json.loads(catalogue.read_text("utf-8"))["models"] if catalogue.exists() else []
    except (ValueError, KeyError, TypeError) as reason:
        raise ValueError(f"{catalogue} is not a catalogue of models ({reason!r}); restore it, or remove it") from None
    return entries


def _place(entry: Entry) -> tuple[Any, ...]:
    if entry["system"] != SYSTEM:
        return True, entry["name"]
    return False, entry["tier"] or "", -Fraction(*map(int, entry["ratio"].split(":"))), entry["look"] != "faithful"
