"""``--pipe`` of the commands that encode."""

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.cli.conftest import ARGV, Command
from tests.helpers.films import packets_of, times_of
from tests.helpers.processes import is_running

FFMPEG = shlex.quote(imageio_ffmpeg.get_ffmpeg_exe())
X264 = f"{FFMPEG} -v error -i - -c:v libx264 -preset ultrafast -threads 2 {{out}}.h264"


def test_a_batch_through_a_pipe(command: Command, film: Path, model: Path, tmp_path: Path) -> None:
    arguments = ("batch", film, "--out", tmp_path, "--model", model, "--segment-seconds", "0.6", "--verify")
    done = command(*arguments, "--pipe", X264)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert times_of(tmp_path / "film.mkv") == times_of(film)
    again = command(*arguments, "--pipe", X264.replace("ultrafast", "fast"))
    assert again.returncode == 1
    assert "was made from something else (pipe: " in again.stderr


def test_a_dry_run_tries_the_command(command: Command, film: Path, model: Path, tmp_path: Path) -> None:
    done = command("batch", film, "--out", tmp_path / "out", "--model", model, "--dry-run", "--pipe", "false {out}")
    assert done.returncode == 1
    assert "'false' ended with code 1 after " in done.stderr
    assert not (tmp_path / "out").exists()


def test_upscale_through_a_pipe(command: Command, film: Path, model: Path, tmp_path: Path) -> None:
    done = command("upscale", film, tmp_path / "out.mkv", "--model", model, "--pipe", X264)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert times_of(tmp_path / "out.mkv") == times_of(film)
    assert packets_of(tmp_path / "out.mkv", 1) == packets_of(film, 1)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--pipe", X264, "--crf", "20", "--encoder", "x264"), "--pipe and --encoder and --crf exclude each other"),
        (("--pipe", "nonsense {out}"), "there is no program 'nonsense' install it"),
        (("--pipe", "cat"), "'cat' has no {out} add it as the output file"),
        (("--pipe", ""), "'' has no {out} add it as the output file"),
    ],
)
def test_options_that_make_no_sense(command: Command, options: tuple[str, ...], problem: str) -> None:
    done = command("upscale", "in.mkv", "out.mkv", *options)
    assert done.returncode == 2
    assert problem in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("name", ["batch", "upscale"])
def test_an_interrupt_ends_the_program_too(film: Path, model: Path, tmp_path: Path, name: str) -> None:
    pid, hanging = tmp_path / "pid", tmp_path / "hanging.py"
    hanging.write_text(
        f"import os, time\nopen({str(pid)!r} + '-', 'w').write(str(os.getpid()))\n"
        f"os.rename({str(pid)!r} + '-', {str(pid)!r})\ntime.sleep(600)\n"
    )
    out = tmp_path / "out"
    out.mkdir()
    target = ("--out", str(out)) if name == "batch" else (str(out / "film.mkv"),)
    pipe = f"{shlex.quote(sys.executable)} {shlex.quote(str(hanging))} {{out}}"
    arguments = (name, str(film), *target, "--model", str(model), "--pipe", pipe)
    with subprocess.Popen([*ARGV, *arguments], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not pid.exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode in (1, 130)
    assert not is_running(pid.read_text())
    assert not (out / "film.mkv").exists()
    assert not [path for path in out.rglob("*") if path.suffix in (".piped", ".mkv", ".video")]
