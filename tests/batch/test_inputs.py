"""The inputs of a batch, and the names of its outputs."""

import os
from pathlib import Path

import pytest
import vapoursynth as vs

from vs_srcomp.batch.checkpoint import beside
from vs_srcomp.batch.inputs import gather, name_outputs, read_list


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    for name in (
        "b.mkv",
        "a.MP4",
        "notes.txt",
        ".hidden.mkv",
        "deep/c.webm",
        "deep/.srcomp/d.mkv",
        "out/e.mkv",
        "[1].ts",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names(*inputs: object, recursive: bool = False, exclude: Path = Path("nowhere")) -> list[str]:
    return [str(relative) for _, relative in gather(map(str, inputs), recursive=recursive, exclude=exclude)]


def test_folders_give_their_videos_in_order(clips: Path) -> None:
    assert names(clips) == ["[1].ts", "a.MP4", "b.mkv"]
    assert names(clips, recursive=True) == ["[1].ts", "a.MP4", "b.mkv", "deep/c.webm", "out/e.mkv"]


def test_the_folder_of_outputs_is_no_input(clips: Path) -> None:
    assert "out/e.mkv" not in names(clips, recursive=True, exclude=clips / "deep" / ".." / "out")


def test_patterns_stand_for_files_of_any_name(clips: Path) -> None:
    assert names(clips / "*.*") == ["[1].ts", "a.MP4", "b.mkv", "notes.txt"]
    assert names(clips / "**" / "?.webm") == ["c.webm"]


def test_files_that_are_named_are_taken_whatever_they_are_called(clips: Path) -> None:
    assert names(clips / "notes.txt", clips / "[1].ts", clips / "missing") == ["notes.txt", "[1].ts", "missing"]


def test_a_file_that_is_named_twice_is_done_once(clips: Path) -> None:
    assert names(clips / "b.mkv", clips) == ["b.mkv", "[1].ts", "a.MP4"]


@pytest.mark.parametrize("name", ["*.mov", "deep/.srcomp/empty"])
def test_what_stands_for_nothing_is_an_error(clips: Path, name: str) -> None:
    (clips / "deep/.srcomp/empty").mkdir()
    with pytest.raises(vs.Error, match=r"names no video file\ncheck the path, or look .* with --recursive"):
        names(clips / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every folder")
def test_folders_that_cannot_be_read_are_reported(clips: Path, messages: list[str]) -> None:
    (clips / "deep").chmod(0)
    try:
        assert "deep/c.webm" not in names(clips, recursive=True)
    finally:
        (clips / "deep").chmod(0o700)
    assert [message for message in messages if "deep' cannot be read, so that its files are left out" in message]
    clips.chmod(0)
    try:
        with pytest.raises(vs.Error, match=r"cannot be read: permission denied\ncheck the path and its permissions"):
            names(clips)
    finally:
        clips.chmod(0o700)


def test_lists_have_one_name_a_line() -> None:
    assert read_list(["a b.mkv\n", "\n", " # c.mkv\r\n", "d.mkv"]) == ["a b.mkv", " # c.mkv", "d.mkv"]


def test_outputs_keep_folders_and_names(clips: Path) -> None:
    pairs = gather([str(clips)], recursive=True, exclude=clips / "out")
    outputs = [str(target) for _, target in name_outputs(pairs, Path("DIR"), suffix="-2x", container="mp4")]
    assert outputs == ["DIR/[1]-2x.mp4", "DIR/a-2x.mp4", "DIR/b-2x.mp4", "DIR/deep/c-2x.mp4"]


def test_dots_in_names_are_kept(clips: Path) -> None:
    pairs = [(clips / "b.mkv", Path("show.s01.e02.mkv"))]
    assert name_outputs(pairs, Path("DIR"), suffix="", container="mkv")[0][1] == Path("DIR/show.s01.e02.mkv")


def test_two_inputs_of_one_output_are_refused(clips: Path) -> None:
    (clips / "b.mp4").touch()
    with pytest.raises(vs.Error, match=r"b\.mkv' and .*b\.mp4' would both become 'DIR/b\.mkv'\ndo them in two runs"):
        name_outputs(gather([str(clips)], recursive=False, exclude=clips), Path("DIR"), suffix="", container="mkv")


def test_an_input_is_never_its_own_output(clips: Path) -> None:
    with pytest.raises(vs.Error, match=r"b\.mkv' is the input\ngive another --out, or a --suffix"):
        name_outputs(gather([str(clips / "b.mkv")], recursive=False, exclude=clips), clips, suffix="", container="mkv")


def test_an_output_is_no_input_of_another(clips: Path) -> None:
    (clips / "b2.mkv").touch()
    for pattern in (clips, clips / "b*.mkv"):
        pairs = gather([str(pattern)], recursive=False, exclude=clips)
        with pytest.raises(vs.Error, match=r"the output of .*b\.mkv' is an input, .*b2\.mkv'"):
            name_outputs(pairs, clips, suffix="2", container="mkv")


def test_earlier_outputs_are_no_inputs(clips: Path) -> None:
    for output in (clips / "b2.mkv", clips / "deep/c2.webm"):
        output.touch()
        beside(output, "json").parent.mkdir(exist_ok=True)
        beside(output, "json").touch()
    assert names(clips, recursive=True, exclude=clips) == ["[1].ts", "a.MP4", "b.mkv", "deep/c.webm", "out/e.mkv"]
    assert names(clips / "b*.mkv", exclude=clips) == ["b.mkv"]
    assert names(clips / "b2.mkv", exclude=clips) == ["b2.mkv"]


def test_one_file_by_two_names_is_done_once(clips: Path) -> None:
    assert names(clips / "b.mkv", clips / "deep/../b.mkv") == ["b.mkv"]
    (clips / "link.mkv").symlink_to("b.mkv")
    assert names(clips / "b.mkv", clips / "link.mkv") == ["b.mkv", "link.mkv"]
