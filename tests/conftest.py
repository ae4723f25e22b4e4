"""What every test shares: where the real material lies, and a fresh VapourSynth environment."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real photographs, streams and videos, kept beside the checkout; tests that need it skip without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real test material is not there: {SHARED_DATA}")
    return SHARED_DATA
