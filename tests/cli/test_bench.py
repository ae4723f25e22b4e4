"""``vs-srcomp bench`` in its shortest form: it works, and its numbers are consistent."""

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from click.testing import CliRunner, Result

from vs_srcomp.cli import main
from vs_srcomp.geometry import RATIOS
from vs_srcomp.models import network_for

PEERS = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"
STAGES = ["decode", "source", "lanczos5", "inference", "graph", "encode"]
SHORT = ["--size", "96x64", "--seconds", "0.05", "--rounds", "2", "--backend", "openvino"]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["bench", *SHORT, *map(str, arguments)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, model: Path) -> tuple[Result, Any, Path]:
    """A run with all outputs: the text, the JSON, and the picture."""
    folder = tmp_path_factory.mktemp("bench")
    peer = folder / "peer.vpy"
    peer.write_text("clip.resize.Point(width, height).set_output()")
    result = run("--model", model, "--vs", peer, "--json", folder / "o.json", "--plot", folder / "o.png")
    assert result.exit_code == 0, result.output
    return result, json.loads((folder / "o.json").read_text()), folder / "o.png"


def test_json_has_every_stage_and_what_it_was_measured_on(whole: tuple[Result, Any, Path]) -> None:
    _, report, _ = whole
    assert report["format"] == 1
    assert report["clip"] | {"frames": 0} == {
        "file": None,
        "codec": "av1",
        "format": "YUV420P8",
        "bits": 8,
        "width": 96,
        "height": 64,
        "frames": 0,
    }
    assert (report["settings"]["width"], report["settings"]["height"], report["settings"]["rounds"]) == (192, 128, 2)
    assert 0 <= report["settings"]["q"] <= 63
    assert report["machine"]["cores"] >= 1
    *own, peer = report["stages"]
    assert [stage["name"] for stage in own] == STAGES
    assert (peer["kind"], peer["title"], peer["limit"]) == ("script", "peer", "inference")


def test_the_numbers_agree_with_each_other(whole: tuple[Result, Any, Path]) -> None:
    _, report, _ = whole
    rates = {s["name"]: [r["frames"] / r["seconds"] for r in s["rounds"]] for s in report["stages"]}
    for stage in report["stages"]:
        own = rates[stage["name"]]
        assert len(own) == 2
        assert stage["fps"] == pytest.approx(median(own))
        assert stage["ms"] == pytest.approx(1000 / stage["fps"])
        assert stage["spread"] == pytest.approx((max(own) - min(own)) / median(own))
        assert stage["cpu_ms"] > 0
        assert stage["peak_mb"] == max(r["peak_mb"] for r in stage["rounds"])
        if stage["limit"]:
            limits = rates[stage["limit"]]
            assert stage["share"] == pytest.approx(median(a / b for a, b in zip(own, limits, strict=True)))
        else:
            assert stage["share"] is None


def test_the_table_has_a_row_a_stage_and_fits(whole: tuple[Result, Any, Path]) -> None:
    result, report, _ = whole
    lines = result.stdout.splitlines()
    assert lines[0].startswith("synthetic scene, av1, 8 bit, 96x64 to 192x128")
    assert max(map(len, lines[3:])) <= 120
    rows = lines[4:]
    assert len(rows) == len(report["stages"])
    for row, stage in zip(rows, report["stages"], strict=True):
        assert row.startswith(stage["title"])
        assert f"{stage['fps']:.1f}" in row


def test_the_picture_is_drawn(whole: tuple[Result, Any, Path]) -> None:
    assert whole[2].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_file_is_measured_and_markdown_is_printed(film: Path) -> None:
    arguments = [str(film), "--only", "decode", "--only", "source", "--seconds", "0.05", "--rounds", "1", "--markdown"]
    result = CliRunner().invoke(main, ["bench", *arguments])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(film.name)
    table = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert "reused" not in table[0]
    assert "% of PyAV" in table[3]


def test_a_file_is_measured_with_and_without_reuse(film: Path, model: Path, tmp_path: Path) -> None:
    stages = ["--only", "file", "--only", "no-reuse", "--only", "decode"]
    arguments = [
        str(film),
        *stages,
        "--model",
        str(model),
        "--seconds",
        "0.2",
        "--rounds",
        "1",
        "--backend",
        "openvino",
    ]
    names = []
    for more in ([], ["--no-reuse"]):
        result = CliRunner().invoke(main, ["bench", *arguments, *more, "--json", str(tmp_path / "o.json")])
        assert result.exit_code == 0, result.output
        report = {stage["name"]: stage for stage in json.loads((tmp_path / "o.json").read_text())["stages"]}
        names.append(list(report))
        assert report["no-reuse"]["reused"] is None
        if not more:
            assert report["file"]["limit"] == "no-reuse"
            assert 0 <= report["file"]["reused"] <= 1
            assert "% of without" in result.output
    assert names == [["decode", "file", "no-reuse"], ["decode", "no-reuse"]]


@pytest.mark.parametrize(
    ("arguments", "code", "wrong"),
    [
        (["--size", "97x64"], 1, "even size"),
        (["--vs", "peer.py"], 1, "is not a script"),
        (["--only", "beads"], 1, "no stage 'beads'"),
        (["--seconds", "nan"], 2, "nan is not a finite number"),
        (["--plot", "chart.mkv"], 1, "is not a kind of picture to draw"),
        (["--plot", "one.svg", "--json", "one.svg"], 2, "are the same file"),
        (["--no-reuse"], 2, "--no-reuse is for a CLIP"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: list[str], code: int, wrong: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert wrong in result.output


def test_the_clip_is_not_replaced(film: Path) -> None:
    before = film.read_bytes()
    result = CliRunner().invoke(main, ["bench", str(film), "--json", str(film)])
    assert result.exit_code != 0
    assert "the output is the input" in str(result.exception) + result.output
    assert film.read_bytes() == before


def test_peers_are_told_apart(tmp_path: Path) -> None:
    peer = tmp_path / "peer.vpy"
    peer.write_text("clip.resize.Point(width, height).set_output()\n")
    assert "two peers would be called 'peer'" in run("--vs", f"{peer}:kept=/a", "--vs", f"{peer}:kept=/b").output
    result = run("--only", "lanczos5", "--vs", f"{peer}:streams=1", "--vs", f"{peer}:streams=2")
    assert result.exit_code == 0, result.output
    assert "peer (streams 1)" in result.stdout
    assert "peer (streams 2)" in result.stdout


@pytest.mark.parametrize("stage", ["graph", "encode"])
def test_a_stage_without_its_limit_is_drawn(stage: str, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="--plot needs it")
    result = run("--only", stage, "--model", model, "--plot", tmp_path / "o.svg")
    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "o.svg").read_text()


def test_a_clip_has_its_own_size(film: Path) -> None:
    result = run(film)
    assert result.exit_code == 2
    assert "--size and --bits are for the synthetic clip" in result.output


def test_plot_without_matplotlib_states_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install" in run("--plot", "o.png").output


@pytest.mark.parametrize("script", sorted(PEERS.glob("*.vpy")), ids=lambda path: path.stem)
def test_peers_that_come_along_are_scripts(script: Path) -> None:
    compile(script.read_text("utf-8"), script, "exec")


def test_a_peer_gets_the_network_at_the_level(tmp_path: Path) -> None:
    peer = tmp_path / "peer.vpy"
    peer.write_text(
        "from pathlib import Path\n"
        "Path(kept).write_bytes(Path(model).read_bytes())\n"
        "clip.resize.Point(width, height).set_output()\n"
    )
    kept = tmp_path / "kept.onnx"
    result = run("--only", "lanczos5", "--q", "31.75", "--vs", f"{peer}:kept={kept}")
    assert result.exit_code == 0, result.output
    _, network = network_for("fast", RATIOS[0], 32)
    assert kept.read_bytes() == network.onnx
