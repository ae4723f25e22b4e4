"""`vs-srcomp engines`, with a backend that stores what it builds."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.helpers.networks import as_network, random_network
from tests.helpers.storing_backend import Darken
from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.backends.engine_store import prepare
from vs_srcomp.cli import main


def engines(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["engines", *arguments])


def test_engines_are_listed_and_removed_and_other_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRCOMP_CACHE_DIR", str(tmp_path))
    folder = tmp_path / "engines"
    assert engines().stderr == f"0 in {folder}\n"
    backend = Darken(log=tmp_path / "builds")
    for width in (64, 32):
        prepare(as_network(random_network()), backend, PlaneFormat(width, 48, 10))
    foreign = folder / "other.engine"
    foreign.write_text("not one of ours")
    done = engines()
    assert (done.exit_code, done.stderr) == (0, f"2 in {folder}\n")
    assert ["x48-10bit-" in line and "bytes  Darken-" in line for line in done.stdout.splitlines()] == [True, True]
    done = engines("--remove")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"2 removed from {folder}\n")
    assert list(folder.iterdir()) == [foreign]


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "engines").mkdir()

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)  # root may read everything
    monkeypatch.setenv("SRCOMP_CACHE_DIR", str(tmp_path))
    done = engines()
    assert done.exit_code == 1
    assert "set SRCOMP_CACHE_DIR to another folder" in done.stderr
