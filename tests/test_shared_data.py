"""What a run without the shared data says at its end, as pytest prints it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared_data import AREAS

ROOT = Path(__file__).resolve().parents[1]

CONFTEST = """
from pathlib import Path
import tests.shared_data
from tests.shared_data import pytest_terminal_summary, shared_data
tests.shared_data.SHARED_DATA = Path({folder!r})
"""

TESTS = """
import pytest

def test_by_itself() -> None: ...

def test_with(shared_data) -> None: ...

@pytest.mark.parametrize("file", [])
def test_each(file) -> None: ...

@pytest.mark.skip(reason="no card")
def test_other() -> None: ...
"""


@pytest.mark.parametrize("is_there", [True, False])
def test_what_was_not_run_is_counted_by_area(tmp_path: Path, is_there: bool) -> None:
    folder = tmp_path / "tests" / "source"
    folder.mkdir(parents=True)
    (tmp_path / "conftest.py").write_text(CONFTEST.format(folder=str(tmp_path if is_there else tmp_path / "nowhere")))
    (folder / "test_example.py").write_text(TESTS)
    # The package of this project's tests comes before the folder in which pytest is started.
    start = f"import sys; sys.path[0] = {str(ROOT)!r}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    arguments = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", str(tmp_path), "tests"]
    done = subprocess.run(
        [sys.executable, "-c", start, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = (
        f"1 tests ran. 2 did not, or once instead of once for each file, because there is no {tmp_path / 'nowhere'}."
    )
    assert (summary in done.stdout) != is_there
    assert (f"  tests/source: {AREAS['tests/source']} (2)" in done.stdout) != is_there
