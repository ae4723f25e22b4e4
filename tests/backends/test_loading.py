"""Inference libraries write no files and send no telemetry: each test has its own process and home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openvino_telemetry")

_LIBRARIES = """
from vs_srcomp.backends import OnnxRuntime, OpenVINO
from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.backends.choice import _BRIGHTEN
for backend in (OpenVINO(), OnnxRuntime()):
    backend.compile(_BRIGHTEN, PlaneFormat(16, 16, 8)).worker()

# What others do with them is as it was.
import os, sys, openvino, openvino_telemetry
assert "openvino.tools.ovc" not in sys.modules
assert callable(openvino.convert_model) and "openvino.tools.ovc" in sys.modules and openvino_telemetry.Telemetry
assert "ORT_DISABLE_TELEMETRY" not in os.environ
"""

_COMMAND = "import sys; from vs_srcomp.cli import main; main(sys.argv[1:])"


def run_at_home(home: Path, code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment |= {"HOME": str(home), "CI": ""}
    del environment["SRCOMP_CACHE_DIR"]
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
    )


def test_loading_them_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    done = run_at_home(tmp_path, _LIBRARIES)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []


def test_neither_does_the_command(tmp_path: Path, clip: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    arguments = ("upscale", clip, tmp_path / "out.mkv", "--preset", "12", "--model", "light")
    done = run_at_home(home, _COMMAND, *arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mkv").exists()
    assert list(home.rglob("*")) == []
    # In the words of the command as well as of scripts.
    assert "Q 25 is taken, unless --q, or q= in a script, gives another" in done.stderr


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    from tests.helpers.films import Studio

    folder = tmp_path / "studio"
    folder.mkdir()
    return Studio(folder).picture("in.mkv", seconds=0.08)
