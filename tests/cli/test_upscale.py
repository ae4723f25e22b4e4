"""``vs-srcomp upscale``."""

import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import ARGV, Command
from tests.helpers.films import frames_of, times_of


def test_one_line_on_standard_error_and_none_on_standard_output(
    command: Command, film: Path, model: Path, tmp_path: Path
) -> None:
    target = tmp_path / "größer ✓.mkv"
    done = command("upscale", film, target, "--model", model, "--preset", "12", "--end", "0.4")
    assert (done.returncode, done.stdout) == (0, "")
    *notes, line = done.stderr.splitlines()
    assert len(notes) <= 2  # on the backend, and on a model that is the user's own
    pattern = r"96x64 to 192x128, 10 frames in [\d.]+ s \([\d.]+ fps\), brighter\.onnx \(10\), 0\.\d\d MB"
    assert re.fullmatch(re.escape(str(target)) + ": " + pattern, line)
    assert [(frame.width, frame.height) for frame in frames_of(target)] == [(192, 128)] * 10


def test_options_reach_the_work(command: Command, film: Path, model: Path, tmp_path: Path) -> None:
    settings = ("--model", model, "--preset", "12", "--start", "0:00.4", "--end", "00:00:00.600")
    sizes = []
    for crf in ("5", "60"):
        target = tmp_path / f"{crf}.mp4"
        options = ("--height", "86", "--crf", crf, "--drop-incompatible", "--q", "33.5", "--film-grain", "apply")
        done = command("upscale", film, target, *settings, *options)
        assert done.returncode == 0, done.stderr
        assert "96x64 to 130x86, 5 frames" in done.stderr
        assert "stream 5 (attachment, font.ttf) is left out: .mp4 files cannot hold it" in done.stderr
        assert [float(moment) for moment in times_of(target)] == [0, 0.04, 0.08, 0.12, 0.16]
        with target.open("rb") as file:
            sizes.append(sum(len(data) for data in file))
    assert sizes[0] > sizes[1]


def test_errors_are_two_lines_and_show_the_traceback_on_demand(command: Command, film: Path, tmp_path: Path) -> None:
    done = command("upscale", film, tmp_path / "out.webm")
    assert (done.returncode, done.stdout) == (1, "")
    *_, what, todo = done.stderr.splitlines()
    assert what.startswith("vs-srcomp: error: .webm files cannot hold stream 2 (audio, aac, eng)")
    assert todo.startswith("write a .mkv file instead")
    done = command("upscale", film, tmp_path / "out.webm", "--debug")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_errors_of_single_frames_are_short_too(
    command: Command, model: Path, tmp_path: Path, shared_data: Path
) -> None:
    data = bytearray((shared_data / "av1" / "beach.webm").read_bytes())
    data[200_000:260_000] = bytes(60_000)
    film = tmp_path / "damaged.webm"
    film.write_bytes(data)
    done = command("upscale", film, tmp_path / "out.mkv", "--model", model, "--width", "854", "--preset", "12")
    assert done.returncode == 1
    told = r"(?m)^vs-srcomp: error: frame \d+ of .*damaged\.webm', at [\d.]+ s, cannot be decoded"
    assert re.search(told, done.stderr)
    assert len(done.stderr.splitlines()) <= 4


@pytest.mark.parametrize(
    "options",
    [
        ("--crf", "64"),
        ("--preset", "-2"),
        ("--q", "64"),
        ("--q", "high"),
        ("--ratio", "3:1"),
        ("--ratio", "2:1", "--width", "200"),
        ("--start", "1:2:3:4"),
        ("--start", "2", "--end", "1"),
        ("--nonsense",),
    ],
)
def test_wrong_usage(command: Command, tmp_path: Path, options: tuple[str, ...]) -> None:
    done = command("upscale", "in.mkv", tmp_path / "out.mkv", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("vs-srcomp: error: ")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_nothing(
    model: Path, tmp_path: Path, shared_data: Path, number: signal.Signals, code: int
) -> None:
    film = shared_data / "av1" / "beach.webm"
    arguments = [*ARGV, "upscale", str(film), str(tmp_path / "out.mkv"), "--model", str(model)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        # The work has begun when the temporary file is there, and takes far longer than a signal.
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (code, "")
    assert errors.endswith(f"vs-srcomp: stopped by {number.name}, nothing unfinished is left behind\n")
    assert list(tmp_path.iterdir()) == []


def test_progress_on_a_terminal(film: Path, model: Path, tmp_path: Path) -> None:
    parent, child = pty.openpty()
    arguments = [*ARGV, "upscale", str(film), str(tmp_path / "out.mkv"), "--model", str(model), "--preset", "12"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    shown = b""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=child, env=environment) as process:
        os.close(child)
        while True:
            try:
                shown += os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
        output, _ = process.communicate(timeout=60)
    os.close(parent)
    assert (process.returncode, output) == (0, b"")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "out.mkv" in text
    assert "40/40" in text
    assert " fps" in text
    assert "40 frames in" in text.splitlines()[-1]
