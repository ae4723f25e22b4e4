"""Dependencies between modules and packages: each may import only those before it in `ORDER`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vs_srcomp

ROOT = Path(vs_srcomp.__file__).parent

# From those without dependencies to the command line.
ORDER = (
    *("errors", "control_groups", "geometry", "progress", "resample", "clips", "log", "files", "named_files"),
    *("processor", "memory", "plots", "av1", "models", "backends", "settings", "reuse", "restore", "grain"),
    *("colour_guess", "target_size", "upscale", "source", "media", "encoders", "stills", "transcode", "probe"),
    *("quality", "compare", "batch", "mpv", "doctor", "bench", "cli", "__main__"),
)


def imports_of(file: Path) -> Iterator[str]:
    """Top-level names of this package that a file imports, in any form and at any place."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, *inner = name.split(".")
            if package == "vs_srcomp" and inner:
                yield inner[0]


@pytest.mark.parametrize("name", ORDER)
def test_nothing_imports_what_is_above_it(name: str) -> None:
    folder = ROOT / name
    files = [*folder.rglob("*.py")] if folder.is_dir() else [ROOT / f"{name}.py"]
    assert files
    imported = {found for file in files for found in imports_of(file)}
    assert imported.isdisjoint(ORDER[ORDER.index(name) + 1 :])


def test_every_module_has_its_place() -> None:
    there = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {path.stem for path in ROOT.glob("*.py")}
    assert sorted(ORDER) == sorted(there - {"__init__"})


def test_imports_are_found_in_every_form(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text(
        "import vs_srcomp\n"
        "import os, vs_srcomp.one.part as part\n"
        "from vs_srcomp import two, __version__\n"
        "from vs_srcomp.three import x\n"
        "def late():\n    from vs_srcomp.four.part import y\n"
    )
    assert {*imports_of(file)} == {"one", "two", "__version__", "three", "four"}
