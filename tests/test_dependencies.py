"""Dependencies between packages: each may import only packages before it in `ORDER`."""

import re
from pathlib import Path

import pytest

import vs_srcomp

ROOT = Path(vs_srcomp.__file__).parent

# From packages without dependencies to the command line.
ORDER = (
    *("av1", "models", "backends", "reuse", "restore", "upscale", "source", "media", "encoders"),
    *("stills", "transcode", "quality", "compare", "batch", "mpv", "doctor", "bench", "cli"),
)


@pytest.mark.parametrize("name", ORDER)
def test_nothing_imports_what_is_above_it(name: str) -> None:
    folder = ROOT / name
    files = folder.rglob("*.py") if folder.is_dir() else [ROOT / f"{name}.py"]
    text = "\n".join(file.read_text("utf-8") for file in files)
    imported = set(re.findall(r"^\s*(?:from|import) vs_srcomp\.(\w+)", text, re.MULTILINE))
    assert imported.isdisjoint(ORDER[ORDER.index(name) + 1 :])


def test_every_package_has_its_place() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} <= {*ORDER}
