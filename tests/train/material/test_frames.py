"""Frames of videos as pictures to learn from."""

from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from train.__main__ import main


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", 25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(9):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for part, value in zip(frame.planes, (16 + 20 * number, 128, 128), strict=True):
                part.update(bytes([value]) * part.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_frames_are_drawn_evenly_over_time(video: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["frames", str(video), "--out", str(tmp_path / "frames"), "--count", "3"])
    assert result.exit_code == 0, result.output
    files = sorted((tmp_path / "frames").iterdir())
    assert [file.name for file in files] == ["film-000000.png", "film-000004.png", "film-000008.png"]
    # Black, and what lies 80 codes above it, in limited range.
    levels = [int(np.asarray(Image.open(file)).mean().round()) for file in files]
    assert levels == [0, round(80 * 255 / 219), round(160 * 255 / 219)]


def test_a_video_with_fewer_frames_gives_all(video: Path, tmp_path: Path) -> None:
    CliRunner().invoke(main, ["frames", str(video), "--out", str(tmp_path / "frames"), "--count", "100"])
    assert len(list((tmp_path / "frames").iterdir())) == 9


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(b"no video")
    result = CliRunner().invoke(main, ["frames", str(tmp_path / "film.mkv"), "--out", str(tmp_path / "frames")])
    assert result.exit_code == 1
    assert "film.mkv" in result.output
