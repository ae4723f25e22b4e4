"""The package for others: imported, typed, and installed from a wheel without a checkout."""

import email
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("av", "openvino", "torch", "onnx", "onnxruntime", "rich", "click", "PIL")


def test_import_does_no_work() -> None:
    code = f"import sys, vs_srcomp; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel that was built from it and not from the tree."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


def test_what_an_earlier_build_has_left_is_not_packed(built: Path, tmp_path: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    stale = root / "build/lib/vs_srcomp/engines/srcomp-fast-8by5-q20.onnx"
    stale.parent.mkdir(parents=True)
    stale.touch()
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "wheel", root, cwd=tmp_path)
    (wheel,) = (tmp_path / "wheel").iterdir()
    with zipfile.ZipFile(wheel) as opened:
        packed = {name for name in opened.namelist() if name.startswith("vs_srcomp/")}
    tracked = run("git", "-C", ROOT, "ls-files", "vs_srcomp", "engines", cwd=tmp_path).splitlines()
    assert packed == {f"vs_srcomp/{name}" if name.startswith("engines/") else name for name in tracked}


def test_the_source_archive_is_whole_and_runs_its_own_tests(built: Path, tmp_path: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    packed = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    tracked = run("git", "-C", ROOT, "ls-files", cwd=tmp_path).splitlines()
    # What is tracked and is not there is not needed by anybody who has the archive.
    assert set(tracked) - packed <= {".gitignore"}
    tests = ["tests/test_geometry.py", "tests/test_files.py", "tests/av1/test_bits.py", "tests/mpv/test_install.py"]
    environment = {"PYTHONPATH": str(root)}
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, cwd=root, environment=environment)


def test_a_wheel_works_in_a_clean_environment(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        (name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        about = email.message_from_bytes(opened.read(name))
    assert {"vs_srcomp/mpv/srcomp.vpy", "vs_srcomp/mpv/srcomp.lua", "vs_srcomp/engines/models.json"} <= names
    assert {"page.html.j2", "page.css", "page.js", "uplot.min.js", "uplot.min.css", "uplot.LICENSE"} == {
        name.rpartition("/")[2] for name in names if name.startswith("vs_srcomp/compare/page/")
    }
    assert not [name for name in names if name.startswith(("tests/", "train/", "examples/"))]
    assert about["Author"] == "vs-srcomp authors"
    assert "Programming Language :: Python :: 3.13" in about.get_all("Classifier", [])
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=tmp_path)
    command = tmp_path / "venv" / "bin" / "vs-srcomp"
    out = tmp_path / "out.mkv"
    demo = ROOT / "examples" / "demo.mkv"
    run(command, "upscale", demo, out, "--end", "0.2", cwd=tmp_path)
    size = "import av; s = av.open('out.mkv').streams.video[0]; print(s.width, s.height)"
    assert run(python, "-c", size, cwd=tmp_path).split() == ["640", "352"]
    typed = "import importlib.resources as r; print(r.files('vs_srcomp').joinpath('py.typed').is_file())"
    assert run(python, "-c", typed, cwd=tmp_path).strip() == "True"
    assert Path(run(command, "mpv", "path", cwd=tmp_path).strip()).is_file()


def run(*command: object, cwd: Path, environment: Mapping[str, str] = MappingProxyType({})) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | dict(environment)
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{command[1:4]} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout
