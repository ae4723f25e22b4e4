"""``vs-srcomp doctor`` on computers that lack something, with real files and programs in their own folders."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs
from vapoursynth._utils import get_vsscript

from vs_srcomp.doctor import check_python, check_vapoursynth, checks
from vs_srcomp.doctor.configuration import (
    Installation,
    check_configuration,
    check_folder,
    configuration_path,
    write,
)
from vs_srcomp.doctor.inference import check_models
from vs_srcomp.doctor.programs import check_mpv
from vs_srcomp.models import Model

LIBRARY = Path(get_vsscript())
ARGV = ["-c", "from vs_srcomp.cli.doctor import doctor; doctor(prog_name='vs-srcomp doctor')"]

type Report = dict[str, dict[str, Any]]


class Computer:
    """An environment with a home of its own, in which the doctor looks around."""

    def __init__(self, folder: Path) -> None:
        """Make the home in ``folder``."""
        self.home = folder / "home"
        self.home.mkdir()
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.environment = {"HOME": str(self.home), "PATH": f"{self.programs}:/usr/bin:/bin"}
        self.toml = self.home / ".config" / "vapoursynth" / "vapoursynth.toml"

    def doctor(self, *options: str, python: str | Path = sys.executable) -> tuple[int, Report]:
        """Exit code, and findings by name."""
        done = self.run(*options, "--json", python=python)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert report["ok"] == (done.returncode == 0)
        return done.returncode, {check["name"]: check for check in report["checks"]}

    def run(self, *options: str, python: str | Path = sys.executable) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        return subprocess.run(
            [str(python), *ARGV, *options], env=self.environment, capture_output=True, text=True, check=False
        )

    def mpv(self, version: str, filters: str = "  vapoursynth      VapourSynth bridge") -> None:
        """Install something that answers as this mpv does."""
        program = self.programs / "mpv"
        program.write_text(
            f'#!/bin/sh\ncase "$*" in\n*--version*) echo "mpv {version} Copyright © 2000-2026";;\n'
            f'*) echo "{filters}";;\nesac\n'
        )
        program.chmod(0o755)


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


@pytest.fixture(scope="module")
def shared() -> bool:
    """Skip where Python has no shared library: nothing can make vspipe start there."""
    from vapoursynth._utils import _find_python_symbol_path

    if _find_python_symbol_path() is None:
        pytest.skip("this Python has no shared libpython")
    return True


def vspipe(environment: Mapping[str, str]) -> int:
    command = [str(LIBRARY.with_name("vspipe")), "--version"]
    return subprocess.run(command, env={**environment, "PATH": "/usr/bin:/bin"}, capture_output=True).returncode


@pytest.mark.usefixtures("shared")
def test_a_new_computer_is_mended(computer: Computer) -> None:
    assert vspipe(computer.environment) != 0
    done = computer.run()
    assert done.returncode == 1
    columns = (re.split(" {2,}", line, maxsplit=1) for line in done.stdout.splitlines())
    rows = {name: rest.split() for name, rest in columns}
    assert {name for name, words in rows.items() if words[0] == "broken"} == {"vapoursynth.toml", "vspipe"}
    assert not computer.toml.exists()

    code, report = computer.doctor("--fix")
    assert (code, report["vapoursynth.toml"]["fixed"]) == (0, True)
    assert vspipe(computer.environment) == 0
    assert set(report) <= set(rows)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    "line",
    [
        "what is this",
        f'"{LIBRARY}" = ["/usr/bin/python3"]',
        f'"{LIBRARY}" = "/usr/bin/python3"',
        f'"{LIBRARY}" = ["/nowhere/python3","/nowhere/libpython3.so","1"]',
        f'"{LIBRARY}" = ["{sys.executable}","/nowhere/libpython3.so","1"]',
        f'"{LIBRARY}" = ["{sys.executable}","/nowhere/libpython3.so","{int(Path(sys.executable).stat().st_mtime)}"]',
        f'"{LIBRARY}" = ["{sys.executable}","/nowhere/libpython3.so",{int(Path(sys.executable).stat().st_mtime)}]',
        f'"{LIBRARY}" = [',
    ],
)
def test_a_wrong_line_is_replaced_and_others_stay(computer: Computer, line: str) -> None:
    others = ['"/other/libvsscript.so" = ["/other/python","/other/libpython.so","7"]', "# mine", "damaged = ["]
    computer.toml.parent.mkdir(parents=True)
    computer.toml.write_text("\n".join([others[0], line, *others[1:]]) + "\n")
    installation = Installation(library=LIBRARY, python=Path(sys.executable), shared=libpython())
    finding = check_configuration(computer.toml, installation)
    assert finding.state == "broken"
    assert finding.fix
    finding.fix()
    assert check_configuration(computer.toml, installation).state == "fine"
    assert set(others) <= set(computer.toml.read_text().splitlines())
    assert vspipe(computer.environment) == 0
    assert [path.name for path in computer.toml.parent.iterdir()] == [computer.toml.name]


def test_blank_lines_and_comments_are_not_damaged_and_the_first_line_counts(tmp_path: Path) -> None:
    file = tmp_path / "vapoursynth.toml"
    installation = Installation(library=LIBRARY, python=Path(sys.executable), shared=libpython())
    file.write_text('# mine\n\n"/other/libvsscript.so" = ["/other/python","/other/libpython.so","7"]\n')
    assert check_configuration(file, installation).message == "no line is for this installation"
    file.write_text(file.read_text() + "damaged = [\n")
    assert check_configuration(file, installation).message == "no line is for this installation and some are damaged"
    write(file, installation)
    assert check_configuration(file, installation).state == "fine"
    other = f'"{installation.key}" = ["/other/python","/other/libpython.so","7"]\n'
    file.write_text(file.read_text() + other)
    assert check_configuration(file, installation).state == "fine"
    file.write_text(other + file.read_text())
    assert check_configuration(file, installation).message == "the line names another Python, /other/python"


def libpython() -> Path:
    from vapoursynth._utils import _find_python_symbol_path

    return Path(_find_python_symbol_path())


@pytest.mark.usefixtures("shared")
def test_an_interpreter_that_was_changed(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_bytes(b"old")
    installation = Installation(library=LIBRARY, python=python, shared=libpython())
    write(tmp_path / "toml", installation)
    assert check_configuration(tmp_path / "toml", installation).state == "fine"
    os.utime(python, (1, 1))
    finding = check_configuration(tmp_path / "toml", installation)
    assert finding.message == f"{python} was changed since the line was written"


@pytest.mark.usefixtures("shared")
def test_an_environment_behind_a_link(computer: Computer, tmp_path: Path) -> None:
    if LIBRARY.resolve() != LIBRARY:
        pytest.skip("the tests themselves run behind a link")
    link = tmp_path / "link"
    link.symlink_to(sys.prefix)
    python = link / "bin" / "python"
    # What `vapoursynth config` writes there, and is content with.
    subprocess.run([python, "-m", "vapoursynth", "config"], env=computer.environment, check=True, capture_output=True)
    assert str(link) in computer.toml.read_text()
    behind = link / LIBRARY.relative_to(sys.prefix)
    finding = check_configuration(computer.toml, Installation(library=behind, python=python, shared=libpython()))
    assert "reached through a link" in finding.message
    code, report = computer.doctor("--fix", python=python)
    assert (code, report["vspipe"]["state"]) == (0, "fine")
    assert vspipe(computer.environment) == 0
    assert len(computer.toml.read_text().splitlines()) == 2
    assert report["vapoursynth.toml"]["fixed"]


def test_no_home() -> None:
    assert configuration_path({}) is None
    finding = check_folder(None)
    assert (finding.state, finding.message) == ("broken", "HOME is not set")
    assert (
        check_configuration(None, Installation(library=LIBRARY, python=Path(sys.executable), shared=None)).fix is None
    )


def test_a_home_that_cannot_be_written_to(tmp_path: Path) -> None:
    # Not even the superuser can make a folder in a file.
    (tmp_path / "file").write_text("")
    path = configuration_path({"XDG_CONFIG_HOME": str(tmp_path / "file"), "HOME": str(tmp_path)})
    finding = check_folder(path)
    assert (finding.state, finding.message) == ("broken", f"{tmp_path / 'file'} cannot be written to")


@pytest.mark.usefixtures("shared")
def test_what_cannot_be_mended_is_reported(computer: Computer) -> None:
    computer.toml.mkdir(parents=True)
    code, report = computer.doctor("--fix")
    assert code == 1
    assert report["vapoursynth.toml"]["message"] == f"{computer.toml}: Is a directory"
    assert not report["vapoursynth.toml"]["fixed"]


def test_no_backend(computer: Computer) -> None:
    package = computer.programs / "openvino"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('libtbb.so.12: cannot open shared object file')")
    computer.environment["PYTHONPATH"] = str(computer.programs)
    code, report = computer.doctor()
    assert code == 1
    assert "libtbb.so.12" in report["OpenVINO"]["message"]
    assert report["OpenVINO"]["remedy"] == "pip install openvino"


@pytest.mark.parametrize(
    ("version", "filters", "state", "message"),
    [
        ("v0.38.0", "  vapoursynth  x", "note", "v0.38.0 is too old"),
        ("0.35.1", "", "note", "0.35.1 is too old"),
        ("v0.40.0", "  format  x", "note", "v0.40.0 is built without"),
        ("v0.40.0", "  vapoursynth  x", "fine", "v0.40.0 with"),
        ("v0.41.0", "  vapoursynth  x", "fine", "v0.41.0 with"),
        (
            "v0.41.0-933-gb955aa28",
            "  vapoursynth  x",
            "broken",
            "looks for VapourSynth at VSSCRIPT_PATH, which is not set",
        ),
        ("v1.0.0", "  vapoursynth  x", "broken", "looks for VapourSynth at VSSCRIPT_PATH, which is not set"),
        ("unknown", "  vapoursynth  x", "note", "does not print its version"),
    ],
)
def test_mpv(computer: Computer, version: str, filters: str, state: str, message: str) -> None:
    computer.mpv(version, filters)
    finding = check_mpv(str(computer.programs / "mpv"), LIBRARY, computer.environment)
    assert finding.state == state
    assert message in finding.message
    assert finding.remedy or state == "fine"


def test_mpv_that_looks_for_vapoursynth(computer: Computer) -> None:
    computer.mpv("v0.42.0")
    for path, state in (("/nowhere/libvsscript.so", "broken"), (str(LIBRARY.resolve()), "fine")):
        finding = check_mpv(str(computer.programs / "mpv"), LIBRARY, {"VSSCRIPT_PATH": path})
        assert finding.state == state


def test_no_mpv_is_no_fault(computer: Computer) -> None:
    assert check_mpv(None, LIBRARY, computer.environment).state == "note"


def test_a_python_that_others_cannot_load() -> None:
    finding = check_python((3, 13, 0), None)
    assert finding.state == "broken"
    assert "libpython3-dev" in finding.remedy
    assert check_python((3, 11, 9), Path("/lib/libpython3.so")).state == "broken"


def test_an_old_vapoursynth() -> None:
    assert check_vapoursynth(79, LIBRARY.parent).state == "broken"
    assert check_vapoursynth(vs.__version__.release_major, LIBRARY.parent).state == "fine"


def test_damaged_models() -> None:
    import vs_srcomp

    sound, *_ = vs_srcomp.models()
    damaged = Model(**{**vars(sound), "sha256": "0" * 64})
    assert check_models([sound]).state == "fine"
    assert check_models([sound, damaged]).message == f"damaged: {sound.file}"
    assert check_models([]).state == "broken"


def test_a_catalogue_that_cannot_be_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> tuple[Model, ...]:
        raise FileNotFoundError("models.json")

    monkeypatch.setattr("vs_srcomp.models", missing)
    findings = {finding.name: finding for finding in (check() for check in checks())}
    assert (findings["models"].state, findings["models"].message) == ("broken", "there are none")
    assert findings["models"].remedy.startswith("install vs-srcomp again")
