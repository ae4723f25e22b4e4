"""File names from users."""

from pathlib import Path

import pytest
import vapoursynth as vs

from vs_srcomp.named_files import address_in, check_output, check_output_folder, file_named


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("in.mkv", "in.mkv"),
        ("file:///films/in.mkv", "/films/in.mkv"),
        ("file://localhost/films/in.mkv", "/films/in.mkv"),
        ("file:/films/in.mkv", "/films/in.mkv"),  # which a path makes of it
        ("FILE:///a%20b/%C3%BC.mkv", "/a b/ü.mkv"),
        ("file:///50%25?#.mkv", "/50%?#.mkv"),
        ("file.mkv", "file.mkv"),
        ("file:in.mkv", "file:in.mkv"),
    ],
)
def test_addresses_of_local_files_are_their_paths(name: str, path: str) -> None:
    assert file_named(name) == path


def test_a_file_that_is_called_so_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file:").mkdir()
    (tmp_path / "file:" / "in.mkv").touch()
    assert file_named("file:/in.mkv") == "file:/in.mkv"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("", "is empty"), ("a\0b", "null character"), ("file://films/in.mkv", "of another computer, 'films'")],
)
def test_what_names_no_file_here(name: str, wrong: str) -> None:
    with pytest.raises(vs.Error, match=wrong):
        file_named(name)


def test_addresses_are_whole_again() -> None:
    for text in ("https://example.com/in.mkv", "https:/example.com/in.mkv"):
        assert address_in(text) == "https://example.com/in.mkv"
    assert address_in("in.mkv") is None


def test_outputs_that_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for path in (Path("new.mkv"), Path("file"), tmp_path / "new.mkv"):
        check_output(path)
    for path in (Path("new/newer"), Path(), tmp_path / "new"):
        check_output_folder(path)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("new/out.mkv", "the folder 'new' does not exist\nmake it, or write somewhere else"),
        ("file/out.mkv", "the folder 'file' is not one"),
        ("folder", "'folder' is a folder"),
        ("http:/host/out.mkv", "'http://host/out.mkv' is an address, and the output must be a file"),
    ],
)
def test_outputs_that_cannot(name: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(vs.Error) as refused:
        check_output(Path(name))
    assert wrong in str(refused.value)


@pytest.mark.parametrize("name", ["file", "file/in/it", "ftp:/host/films"])
def test_folders_that_cannot_be_made(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(vs.Error, match="srcomp: "):
        check_output_folder(Path(name))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_folders_that_are_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # the superuser may write anywhere
    with pytest.raises(vs.Error, match="cannot be written to"):
        check_output(tmp_path / "out.mkv")
    with pytest.raises(vs.Error, match="cannot be written to"):
        check_output_folder(tmp_path / "new")
