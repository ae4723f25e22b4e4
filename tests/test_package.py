"""The package as others meet it: imported, typed, and installed from a wheel with no checkout beside it."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("av", "openvino", "torch", "onnx", "onnxruntime", "rich", "click", "PIL")


def test_import_does_no_work() -> None:
    code = f"import sys, vs_srcomp; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_a_wheel_works_in_a_clean_environment(tmp_path: Path) -> None:
    # By way of a source archive, which is what others build from, and which leaves no build folder in the tree.
    run(sys.executable, "-m", "build", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=tmp_path)
    out = tmp_path / "out.mkv"
    demo = ROOT / "examples" / "demo.mkv"
    run(tmp_path / "venv" / "bin" / "vs-srcomp", "upscale", demo, out, "--end", "0.2", cwd=tmp_path)
    size = "import av; s = av.open('out.mkv').streams.video[0]; print(s.width, s.height)"
    assert run(python, "-c", size, cwd=tmp_path).split() == ["640", "352"]
    assert (
        run(
            python,
            "-c",
            "import importlib.resources as r; print(r.files('vs_srcomp').joinpath('py.typed').is_file())",
            cwd=tmp_path,
        ).strip()
        == "True"
    )


def run(*command: object, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"{command[1:4]} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout
