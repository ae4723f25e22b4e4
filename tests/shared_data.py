"""Real photographs, streams and videos next to the checkout, and a report of what is untested without them."""

from collections import Counter
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

MISSING = "real test material is not there"
"""Prefix of the reason of a skipped test."""

# pytest's reason for skipping a test that runs once for each file, if there are no files.
_NO_FILES = "got empty parameter set"

AREAS = {
    "tests/av1": "AV1 headers of several encoders against FFmpeg and dav1d",
    "tests/backends": "networks on real pictures",
    "tests/batch": "batches of long and damaged clips",
    "tests/cli": "the command line on long, damaged and high-bit-depth clips",
    "tests/encoders": "encoding of real clips",
    "tests/media": "what outputs keep of joined, cropped, stereo and HDR files",
    "tests/quality": "checks of outputs of real clips",
    "tests/source": "frame-exact decoding of real, damaged, tiled and animated files",
    "tests/train": "the committed scores measured again, published scores on Set5",
    "tests/transcode": "transcodes of real clips",
    "tests": "probe and reuse on real clips",
}
"""What the tests of each folder need the material for."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real photographs, streams and videos next to the checkout. Tests that use it skip without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"{MISSING}: {SHARED_DATA}")
    return SHARED_DATA


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how many tests were skipped without the material, and what they would have tested."""
    if SHARED_DATA.is_dir():
        return
    skipped: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if MISSING in reason or _NO_FILES in reason:
            skipped[_area(report.nodeid)] += 1
    if not skipped:
        return
    terminalreporter.section("tests without the shared data")
    ran = sum(len(terminalreporter.stats.get(outcome, [])) for outcome in ("passed", "failed"))
    terminalreporter.write_line(
        f"{ran} tests ran. {skipped.total()} did not, or once instead of once for each file, "
        f"because there is no {SHARED_DATA}. Untested:"
    )
    for area, count in sorted(skipped.items()):
        terminalreporter.write_line(f"  {area}: {AREAS.get(area, 'real files')} ({count})")


def _area(nodeid: str) -> str:
    """The first two folders of a test's path."""
    return "/".join(Path(nodeid.partition("::")[0]).parent.parts[:2])
