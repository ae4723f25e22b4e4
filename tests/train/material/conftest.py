"""Pictures to make material of."""

from pathlib import Path

import pytest

from tests.train.photographs import write_photographs


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of four."""
    return write_photographs(tmp_path / "photographs", 4)
