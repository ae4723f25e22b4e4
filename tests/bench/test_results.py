"""The committed results are what docs/performance.md shows."""

import json
from pathlib import Path

import pytest

from vs_srcomp.bench.process import Measurement
from vs_srcomp.bench.report import FORMAT, Report, StageReport
from vs_srcomp.bench.stage import ON_REQUEST, TITLES
from vs_srcomp.cli.bench import _numbers

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
OF_REUSE = sorted((ROOT / "benchmarks" / "results" / "reuse").rglob("*.json"))


def read(file: Path) -> Report:
    values = json.loads(file.read_text("utf-8"))
    stages = tuple(
        StageReport(**stage | {"rounds": tuple(Measurement(**each) for each in stage["rounds"])})
        for stage in values["stages"]
    )
    return Report(**values | {"stages": stages})


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_committed_results_are_of_all_stages(file: Path) -> None:
    report = read(file)
    assert report.format == FORMAT
    assert [stage.name for stage in report.stages] == [kind for kind in TITLES if kind not in {"script", *ON_REQUEST}]
    assert all(len(stage.rounds) == report.settings["rounds"] for stage in report.stages)


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_the_document_shows_committed_results(file: Path) -> None:
    text = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert f"--json {file.relative_to(ROOT)}" in text
    lines = [line.replace("|", " ").split() for line in text.splitlines()]
    report = read(file)
    for stage in report.stages:
        assert " ".join((stage.title, *_numbers(stage))).split() in lines


@pytest.mark.parametrize("file", OF_REUSE, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_the_document_shows_what_reuse_gave(file: Path) -> None:
    text = (ROOT / "docs" / "reuse.md").read_text("utf-8")
    report = read(file)
    reusing, computed = report.stage("file"), report.stage("no-reuse")
    assert reusing.reused is not None
    assert reusing.share is not None
    (line,) = [
        line for line in text.splitlines() if line.startswith(f"| {Path(report.clip['file']).name}") and "%" in line
    ]
    _, _, reused, faster, in_processor_time, _, *with_vnni, _ = (cell.strip() for cell in line.split("|"))
    if file.parent.name == "avx512":
        faster, in_processor_time = with_vnni
    else:
        assert reused == f"{100 * reusing.reused:.0f} %"
    assert faster == f"{reusing.share:.2f}"
    assert in_processor_time == f"{computed.cpu_ms / reusing.cpu_ms:.2f}"
