"""The player's script in mpv's folder."""

import re
from pathlib import Path

import pytest
import vapoursynth as vs
from click.testing import CliRunner, Result

from vs_srcomp.cli import main
from vs_srcomp.doctor.programs import check_player_script
from vs_srcomp.mpv.install import COMPANION, FILTER, install, is_current, mpv_folder, options, remove
from vs_srcomp.mpv.options import _READERS


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["mpv", *arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of mpv."""
    monkeypatch.setenv("MPV_HOME", str(tmp_path / "mpv"))
    return tmp_path / "mpv"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_goes_where_mpv_looks_and_comes_back(folder: Path) -> None:
    installed = run("install")
    assert (installed.exit_code, installed.stdout) == (0, "")
    assert files(folder) == {"scripts/srcomp/main.lua", "scripts/srcomp/srcomp.vpy", "script-opts/srcomp.conf"}
    assert (folder / "scripts/srcomp/main.lua").read_bytes() == COMPANION.read_bytes()
    for name, default, meaning in options():
        assert re.search(rf"^  {name}={re.escape(default)} +{re.escape(meaning)}$", installed.stderr, re.MULTILINE)
    assert run("install").exit_code == 0
    assert run("remove").exit_code == 0
    assert files(folder) == set()
    assert "nothing to remove" in run("remove").stderr


def test_every_option_of_the_script_is_reported() -> None:
    table = COMPANION.read_text().partition("local options = {\n")[2].partition("\n}")[0]
    assert [name for name, _, _ in options()] == re.findall(r"^    (\w+) =", table, re.MULTILINE)
    # Those that the script hands on to the filter are options of the filter.
    assert {"ratio", "q", "model", "look", "sharpness", "adapt"} <= {name for name, _, _ in options()} & set(_READERS)


def test_another_script_of_the_name_is_not_joined(folder: Path) -> None:
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "srcomp.lua").touch()
    with pytest.raises(vs.Error, match=r"srcomp\.lua' is a script of the same name, .*\nmove it away"):
        install(folder, overwrite=True)
    assert files(folder) == {"scripts/srcomp.lua"}
    (folder / "scripts" / "srcomp.lua").rename(folder / "scripts" / "srcomp.lua.bak")  # which mpv does not load
    assert len(install(folder)) == 3


@pytest.mark.parametrize(
    "change", [("#q=auto", "q=30"), (r"#?command=.*", "command="), ("#q=auto", "#q=40"), ("#q=auto", "# mine\n#q=auto")]
)
def test_options_that_were_changed_stay(change: tuple[str, str], folder: Path) -> None:
    install(folder)
    conf = folder / "script-opts/srcomp.conf"
    conf.write_text(re.sub(*change, conf.read_text()))
    text = conf.read_text()
    install(folder)
    assert conf.read_text() == text
    remove(folder)
    assert files(folder) == {"script-opts/srcomp.conf"}


def test_the_path_of_a_program_that_is_gone_is_renewed(folder: Path, tmp_path: Path) -> None:
    install(folder)
    conf = folder / "script-opts/srcomp.conf"
    written = conf.read_text()
    gone = re.sub("^command=.*", f"command={tmp_path}/gone/vs-srcomp", written, flags=re.MULTILINE)
    assert gone != written
    conf.write_text(gone.replace("#q=auto", "q=30"))
    found = check_player_script({"MPV_HOME": str(folder)})
    assert (found.state, found.remedy) == ("note", "vs-srcomp mpv install")
    assert f"{tmp_path}/gone/vs-srcomp, which is gone" in found.message
    install(folder)
    assert conf.read_text() == written.replace("#q=auto", "q=30")
    assert check_player_script({"MPV_HOME": str(folder)}).state == "fine"


def test_another_script_of_that_name_stays(folder: Path) -> None:
    other = folder / "scripts/srcomp/main.lua"
    other.parent.mkdir(parents=True)
    other.write_text("-- mine\n")
    refused = run("install")
    assert refused.exit_code == 1
    assert "not of vs-srcomp" in refused.stderr
    assert files(folder) == {"scripts/srcomp/main.lua"}
    assert remove(folder) == []
    assert other.read_text() == "-- mine\n"
    assert run("install", "--force").exit_code == 0
    assert other.read_bytes() == COMPANION.read_bytes()


def test_an_older_one_is_seen_and_replaced(folder: Path) -> None:
    assert is_current(folder) is None
    assert check_player_script({"MPV_HOME": str(folder)}).state == "note"
    install(folder)
    assert check_player_script({"MPV_HOME": str(folder)}).state == "fine"
    old = folder / "scripts/srcomp/srcomp.vpy"
    old.write_text("# vs-srcomp in mpv, an older release\n")
    assert is_current(folder) is False
    assert "not of this release" in check_player_script({"MPV_HOME": str(folder)}).message
    install(folder)
    assert is_current(folder)


def test_a_folder_that_cannot_be_written_to_is_reported(folder: Path) -> None:
    folder.write_text("a file")
    refused = run("install")
    assert refused.exit_code == 1
    assert "cannot write to" in refused.stderr
    assert "MPV_HOME" in refused.stderr


def test_mpvs_folder_is_found_as_mpv_finds_it() -> None:
    assert mpv_folder({"MPV_HOME": "/m", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/m")
    assert mpv_folder({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/x/mpv")
    assert mpv_folder({"HOME": "/h"}) == Path("/h/.config/mpv")
    with pytest.raises(vs.Error, match="HOME is not set"):
        mpv_folder({})


def test_the_path_is_one_for_command_lines() -> None:
    shown = run("path")
    assert shown.stdout == f"{FILTER}\n"
    assert FILTER.is_file()
