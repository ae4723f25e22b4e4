"""Frames of videos as pictures to learn from."""

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from train.__main__ import main
from train.material.videos import Videos


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return film(tmp_path / "film.mkv", frames=9)


def film(path: Path, frames: int, *, is_drawn: bool = True) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", 25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for part, value in zip(frame.planes, (16 + 20 * number % 220, 128, 128), strict=True):
                part.update(bytes([value]) * part.buffer_size)
            if is_drawn:  # a white line at the top
                luma = frame.planes[0]
                luma.update(b"\xeb" * luma.line_size + bytes(luma)[luma.line_size :])
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_frames_are_drawn_evenly_over_time(video: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["frames", str(video), "--out", str(tmp_path / "frames"), "--count", "3"])
    assert result.exit_code == 0, result.output
    files = sorted((tmp_path / "frames").iterdir())
    assert [file.name for file in files] == ["film-000000.png", "film-000004.png", "film-000008.png"]
    # Black, and what lies 80 codes above it, in limited range.
    levels = [int(np.median(np.asarray(Image.open(file)))) for file in files]
    assert levels == [0, round(80 * 255 / 219), round(160 * 255 / 219)]


def test_a_video_with_fewer_frames_gives_all(video: Path, tmp_path: Path) -> None:
    CliRunner().invoke(main, ["frames", str(video), "--out", str(tmp_path / "frames"), "--count", "100"])
    assert len(list((tmp_path / "frames").iterdir())) == 9


def test_frames_that_show_nothing_are_left_out(tmp_path: Path) -> None:
    flat = film(tmp_path / "flat.mkv", frames=5, is_drawn=False)
    result = CliRunner().invoke(main, ["frames", str(flat), "--out", str(tmp_path / "frames")])
    assert result.exit_code == 1
    assert "flat.mkv shows nothing in 5 evenly spaced frames: leave it out" in result.output
    assert list((tmp_path / "frames").iterdir()) == []


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(b"no video")
    result = CliRunner().invoke(main, ["frames", str(tmp_path / "film.mkv"), "--out", str(tmp_path / "frames")])
    assert result.exit_code == 1
    assert "film.mkv" in result.output


def frames_of(*videos: str) -> list[Path]:
    return [Path("frames") / video / f"{video}-{number:06}.png" for video in videos for number in range(10)]


def test_a_recipe_learns_from_videos_and_is_measured_on_the_end_of_each(video: Path, tmp_path: Path) -> None:
    material = Videos(frames=5)
    (tmp_path / "1.png").write_bytes(b"another material")
    files = material.files([tmp_path], tmp_path / "work")
    assert [file.name for file in files] == [f"film-{number:06}.png" for number in (0, 2, 4, 6, 8)]
    assert material.measured(files, 0.2, seed=1) == {"film-000008"}
    written = [file.stat().st_mtime_ns for file in files]
    again = material.files([video], tmp_path / "work")
    assert again == files
    assert [file.stat().st_mtime_ns for file in again] == written


def test_videos_are_split_by_time_or_by_file() -> None:
    files = frames_of("a", "b", "c")
    by_time = Videos().measured(files, 0.2, seed=1)
    assert by_time == {f"{video}-{number:06}" for video in "abc" for number in (8, 9)}
    by_file = Videos(split="file").measured(files, 0.3, seed=1)
    assert len(by_file) == 10
    assert len({name[0] for name in by_file}) == 1


@pytest.mark.parametrize(("wrong", "message"), [({"split": "frame"}, "split is"), ({"frames": 1}, "frames is")])
def test_what_videos_cannot_do_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Videos(**wrong)


def test_a_video_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"film\.mkv"):
        Videos().files([tmp_path], tmp_path / "work")


def test_a_video_that_ends_early_gives_the_frames_that_it_has_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = film(tmp_path / "whole.mkv", frames=75)
    short = tmp_path / "short.mkv"
    short.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    files = Videos().files([short, whole], tmp_path / "work")
    assert 0 < len([file for file in files if file.name.startswith("short")]) < 75
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith(f"'{short}' ends after 1.")
    assert message.endswith("of 3.0 s: it seems to be cut off")


def test_videos_of_one_name_do_not_write_over_each_others_frames(video: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = film(tmp_path / "other" / "film.mkv", frames=3)
    result = CliRunner().invoke(main, ["frames", str(video), str(other), "--out", str(tmp_path / "frames")])
    assert result.exit_code == 1
    assert "have the same name: rename one" in result.output
    assert not (tmp_path / "frames").exists()


@pytest.mark.parametrize("changes", ["size", "time"])
def test_a_video_that_replaces_another_has_frames_of_its_own(changes: str, video: Path, tmp_path: Path) -> None:
    before = Videos(frames=2).files([video], tmp_path / "work")
    stat = video.stat()
    if changes == "size":
        film(video, frames=5)
        os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    else:
        os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
    after = Videos(frames=2).files([video], tmp_path / "work")
    assert before[0].parent != after[0].parent
    assert [path.name for path in after] == [f"film-{number:06}.png" for number in (0, 4 if changes == "size" else 8)]
