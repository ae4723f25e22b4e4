"""``vs-srcomp probe`` as a user runs it."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from tests.cli.conftest import ARGV, Command
from tests.source.reference import shared_files, write_scenes
from vs_srcomp.cli import main
from vs_srcomp.probe import probe


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"preset": "12", "crf": "30", "g": "24", "svtav1-params": "lp=1:scd=0"}
    return write_scenes(tmp_path_factory.mktemp("q") / "q.mkv", 40, (64, 64), codec="libsvtav1", options=options)


def test_json_has_the_facts_and_every_frame(stream: Path, command: Command) -> None:
    done = command("probe", stream, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    found = probe(stream)
    assert printed["frames"] == [frame._asdict() for frame in found.frames]
    assert {"container", "codec", "width", "height", "bit_depth", "spatial_layers"} <= printed.keys()
    assert (printed["frame_rate"], printed["q"], printed["complete"]) == ("25", found.q, True)


def test_quick_json_is_short(stream: Path) -> None:
    result = CliRunner().invoke(main, ["probe", str(stream), "--quick", "--json"])
    printed = json.loads(result.stdout)
    found = probe(stream)
    assert (printed["q"], printed["complete"]) == (found.q, True)
    assert printed["scenes"] == [{"start": scene.start, "end": scene.end, "q": scene.q} for scene in found.scenes]


def test_the_report_names_what_there_is(stream: Path) -> None:
    result = CliRunner().invoke(main, ["probe", str(stream)])
    assert result.exit_code == 0
    found = probe(stream)
    for word in ("av1, 64x64, 8 bit", "40, 25 a second", f"median {found.q:.1f}", "film grain"):
        assert word in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100 + len(str(stream))


@pytest.mark.parametrize("name", shared_files("av1", "video"))
def test_real_files_give_a_report_or_one_reason(shared_data: Path, name: str) -> None:
    result = CliRunner().invoke(main, ["probe", str(shared_data / name), "--quick"])
    if result.exit_code:
        assert result.exit_code == 1
        assert result.stderr.startswith("vs-srcomp: error: ")
        assert len(result.stderr.splitlines()) <= 2
    else:
        assert result.stderr == ""
        assert "container" in result.stdout
        known = "base_q_idx" in result.stdout or "is not known: no header has it" in result.stdout
        assert known


@pytest.mark.parametrize("content", [None, b"", b"no video"])
def test_bad_files_end_in_one_reason(content: bytes | None, tmp_path: Path, command: Command) -> None:
    file = tmp_path / "bad.mkv"
    if content is not None:
        file.write_bytes(content)
    done = command("probe", file, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("vs-srcomp: error: ")
    assert len(done.stderr.splitlines()) == 2


def test_plot(stream: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="--plot needs it")
    target = tmp_path / "q.png"
    result = CliRunner().invoke(main, ["probe", str(stream), "--plot", str(target)])
    assert result.exit_code == 0, result.stderr
    assert target.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_plot_replaces_a_file_only_on_demand(stream: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="--plot needs it")
    target = tmp_path / "q.png"
    target.write_text("precious")
    arguments = ["probe", str(stream), "--plot", str(target)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "exists" in result.stderr
    assert target.read_text() == "precious"
    assert CliRunner().invoke(main, [*arguments, "--overwrite"]).exit_code == 0
    assert target.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("suffix", [".ppm", ".bmp", ".jp2", ".gif"])
def test_pictures_that_tell_no_level(suffix: str, tmp_path: Path) -> None:
    Image.new("RGB", (48, 32)).save(tmp_path / f"x{suffix}")
    result = CliRunner().invoke(main, ["probe", str(tmp_path / f"x{suffix}")])
    assert result.exit_code == 0, result.stderr
    assert "48x32" in result.stdout


def test_plot_of_nothing_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="--plot needs it")
    file = write_scenes(tmp_path / "m.mkv", 3, (64, 64), codec="mpeg4")
    result = CliRunner().invoke(main, ["probe", str(file), "--plot", str(tmp_path / "q.png")])
    assert result.exit_code == 1
    assert "no quantizer to draw" in result.stderr


def test_plot_without_matplotlib_states_what_to_install(stream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    result = CliRunner().invoke(main, ["probe", str(stream), "--plot", "q.png"])
    assert result.exit_code == 1
    assert "pip install" in result.stderr


@pytest.mark.parametrize("name", ["cost $_{$ 5.mkv", "n\udcff.mkv"])
def test_plot_of_a_file_of_any_name(name: str, stream: Path, tmp_path: Path, command: Command) -> None:
    pytest.importorskip("matplotlib", reason="--plot needs it")
    file = tmp_path / name
    file.write_bytes(stream.read_bytes())
    done = command("probe", "--json", "--quick", file, "--plot", tmp_path / "q.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "q.png").exists()


def test_a_plot_of_no_kind_is_refused_before_the_work(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="--plot needs it")
    result = CliRunner().invoke(main, ["probe", str(tmp_path / "missing.mkv"), "--plot", str(tmp_path / "plot")])
    assert result.exit_code == 1
    assert "is not a kind of picture to draw" in result.stderr


def test_a_name_that_is_no_text_is_printed_with_escapes(stream: Path, tmp_path: Path) -> None:
    file = tmp_path / "n\udcff.mkv"
    file.write_bytes(stream.read_bytes())
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run([*ARGV, "probe", file], capture_output=True, text=True, check=False, env=strict)
    assert (done.returncode, done.stderr) == (0, "")
    assert "n\\xff.mkv" in done.stdout.replace("\n", "").replace(" ", "")
