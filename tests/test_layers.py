"""Packages around a transcode depend on those before them only."""

import re
from pathlib import Path

import pytest

import vs_srcomp

ORDER = ("media", "encoders", "transcode", "quality", "batch", "cli")


@pytest.mark.parametrize("package", ORDER)
def test_no_package_imports_one_above_it(package: str) -> None:
    folder = Path(vs_srcomp.__file__).parent / package
    text = "\n".join(file.read_text("utf-8") for file in folder.rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) vs_srcomp\.(\w+)", text, re.MULTILINE))
    assert imported.isdisjoint(ORDER[ORDER.index(package) + 1 :])
