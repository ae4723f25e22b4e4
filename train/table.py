"""Tables of scores as CSV files: a row per dataclass instance, a column per field."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vs_srcomp.files import write_atomically

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_DIGITS = 7


def write_rows(path: Path, kind: "type[DataclassInstance]", rows: Iterable["DataclassInstance"]) -> None:
    """Write ``rows`` of the dataclass ``kind``, with an empty cell for None. The folder is made."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{v:.{_DIGITS}g}" if isinstance(v, float) else v for key, v in asdict(row).items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, file.getvalue().encode())


def read_rows[T: "DataclassInstance"](path: Path, kind: type[T]) -> list[T]:
    """The inverse of `write_rows` for the dataclass ``kind``, whose fields are str, int, float, or float or None.

    Columns missing in older files get the field's default.

    Raises:
        ValueError: A row is cut or has something else in it, or there is an unknown column.
    """
    readers: dict[str, Any] = {field.name: field.type if field.type in (str, int) else float for field in fields(kind)}
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if unknown := [name for name in table.fieldnames or () if name not in readers]:
            raise ValueError(f"{path} has a column {unknown[0]!r}, but there are {', '.join(readers)}: remove it")
        rows = []
        for row in table:
            try:
                if None in row or None in row.values():
                    raise ValueError("cells are missing, or too many")
                found = {key: readers[key](text) for key, text in row.items() if text or readers[key] is str}
                rows.append(kind(**found))
            except (TypeError, ValueError) as reason:
                raise ValueError(
                    f"{path}, line {table.line_num}, is not a {kind.__name__} ({reason}): remove it, and measure again"
                ) from reason
    return rows
