"""The table that benchmarks/precisions.py makes of its rounds."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "precisions.py"))


def test_ratios_are_those_of_rounds() -> None:
    common = {"class": "AVX2", "tier": "fast", "kept": 1.0, "error": 0.0, "types": {"f32": 4}}
    runs = [
        common | {"precision": "f32", "rates": [10.0, 5.0, 8.0], "cpu_ms": [1.0, 2.0, 3.0]},
        common
        | {"precision": "int8", "rates": [20.0, 20.0, 8.0], "cpu_ms": [1.0, 1.0, 1.0], "types": {"int8": 3, "f32": 1}},
    ]
    *_, row = SCRIPT["table"]({"runs": runs}).splitlines()
    assert row.split("|")[1:9] == [
        " AVX2 ",
        " fast ",
        " int8 ",
        " 20.0 ",
        " 1.0 ",
        " 2.00 ",
        " int8 75%, f32 25% ",
        " 1.000 ",
    ]


@pytest.mark.parametrize("name", ["epyc-avx512-2-cores", "xeon-avx512-2-cores"])
def test_the_document_shows_committed_results(name: str) -> None:
    report = json.loads((ROOT / "benchmarks" / "results" / "precisions" / f"{name}.json").read_text("utf-8"))
    assert SCRIPT["table"](report) in (ROOT / "docs" / "performance.md").read_text("utf-8")
