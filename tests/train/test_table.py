"""Tables of scores: what is damaged is named."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from train.table import read_rows


@dataclass(frozen=True)
class Row:
    name: str
    value: float
    note: str = ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,value,note\na,1,x\nb,2", r"rows\.csv, line 3, is not a Row \(cells are missing"),
        ("name,value\na,1\nb", r"rows\.csv, line 3, is not a Row \(cells are missing"),
        ("name,value\na,1,2\n", r"rows\.csv, line 2, is not a Row \(cells are missing, or too many\)"),
        ("name,value\na,x\n", r"rows\.csv, line 2, is not a Row \(could not convert string to float: 'x'\): remove"),
        ("name\na\n", r"rows\.csv, line 2, is not a Row \(.*'value'\)"),
        ("name,value,colour\na,1,red\n", r"rows\.csv has a column 'colour', but there are name, value, note"),
    ],
)
def test_a_table_that_is_damaged_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_rows(tmp_path / "rows.csv", Row)
