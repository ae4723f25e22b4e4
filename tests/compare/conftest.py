"""A film with a cut, two ways to code it, and a report on both."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.films import Studio
from vs_srcomp.compare import Options, candidate_from_file, write_report

type Report = Callable[..., str]


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="session")
def original(studio: Studio) -> Path:
    """24 frames of 320x180; frame 10 begins another scene."""
    return studio.make(
        *("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=0.4"),
        *("-f", "lavfi", "-i", "mandelbrot=size=320x180:rate=25:end_pts=100"),
        *("-filter_complex", "[1:v]trim=end_frame=14,setpts=PTS-STARTPTS[m];[0:v][m]concat=n=2"),
        *("-pix_fmt", "yuv420p", "-c:v", "ffv1", "original.mkv"),
    )


@pytest.fixture(scope="session")
def good(studio: Studio, original: Path) -> Path:
    return studio.make("-i", str(original), "-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", "good.mkv")


@pytest.fixture(scope="session")
def bad(studio: Studio, original: Path) -> Path:
    return studio.make("-i", str(original), "-c:v", "libx264", "-preset", "ultrafast", "-crf", "44", "bad.mkv")


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory, good: Path, bad: Path, original: Path) -> Path:
    """With all metrics; names are as hostile as file names can be."""
    target = tmp_path_factory.mktemp("report") / "report.html"
    names = ["</script><b>bad", 'good "&amp;" {{ 7 * 7 }}']
    sides = [candidate_from_file(path, name) for path, name in zip((bad, good), names, strict=True)]
    write_report(sides, candidate_from_file(original), target, Options(frames=6, title="A film & its copies"))
    return target


def embedded(html: str, name: str) -> str:
    """The text of a JSON element of a report."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.DOTALL)
    assert found
    return found[1]
