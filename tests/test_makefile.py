"""The Makefile's guard against paths that make would split."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_a_folder_with_a_space_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "my"
    checkout = tmp_path / "my repository"
    for folder in (other, checkout):
        folder.mkdir()
    shutil.copy(ROOT / "Makefile", checkout)
    refused = subprocess.run(["make", "clean"], cwd=checkout, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "has a space" in refused.stderr
    assert other.is_dir()
