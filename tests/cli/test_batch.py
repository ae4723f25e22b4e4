"""``vs-srcomp batch``."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from filelock import FileLock
from PIL import Image

from tests.cli.conftest import ARGV, Command
from tests.helpers.films import packets_of, times_of
from vs_srcomp.cli import main

type Arguments = tuple[str | Path, ...]


@pytest.fixture(scope="session")
def settings(model: Path) -> Arguments:
    return ("--model", model, "--preset", "12", "--crf", "50", "--segment-seconds", "0.2")


@pytest.fixture(scope="session")
def uninterrupted(command: Command, film: Path, settings: Arguments, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = command("batch", film, "--out", folder, *settings)
    assert done.returncode == 0, done.stderr
    return folder / "film.mkv"


def report_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "srcomp-report.jsonl").read_text("utf-8").splitlines()]


def test_folders_and_bad_files(command: Command, film: Path, settings: Arguments, tmp_path: Path) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    (clips / "deeper").mkdir(parents=True)
    shutil.copy(film, clips / "größer ✓.mkv")
    shutil.copy(film, clips / "deeper" / "film.MKV")
    (clips / "empty.mp4").touch()
    (clips / "notes.txt").write_text("no clip")
    listing = tmp_path / "list.txt"
    listing.write_text(f"{clips}\n\n", "utf-8")
    command_line = (
        "--list",
        listing,
        "--recursive",
        "--out",
        out,
        "--suffix",
        "-2x",
        "--jobs",
        "2",
        "--verify",
        *settings,
    )
    done = command("batch", *command_line)
    assert (done.returncode, done.stdout) == (1, "")
    for name in ("größer ✓-2x.mkv", "deeper/film-2x.mkv"):
        assert times_of(out / name) == times_of(film)
    lines = {Path(line["source"]).name: line for line in report_of(out)}
    assert {name: line["status"] for name, line in lines.items()} == {
        "größer ✓.mkv": "done",
        "film.MKV": "done",
        "empty.mp4": "failed",
    }
    good = lines["größer ✓.mkv"]
    assert (good["frames"], good["segments"], good["target_size"]) == (40, 8, [192, 128])
    assert (good["models"], good["error"]) == ({"brighter.onnx": 40}, None)
    assert list(good["checks"]) == ["verify"]
    assert good["target"] == str(out / "größer ✓-2x.mkv")
    assert "is empty\n" in lines["empty.mp4"]["error"]
    assert done.stderr.splitlines()[-1] == "3 clips: 2 done, 1 failed"
    again = command("batch", *command_line)
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1] == "3 clips: 2 skipped, 1 failed"


def test_each_clip_has_its_own_notes_and_no_others(
    command: Command, film: Path, settings: Arguments, tmp_path: Path
) -> None:
    for name in ("a.mkv", "b.mkv"):
        shutil.copy(film, tmp_path / name)
    done = command("batch", tmp_path, "--out", tmp_path / "out", "--width", "201", *settings)
    assert done.returncode == 0, done.stderr
    assert [line["notes"] for line in report_of(tmp_path / "out")] == [
        ["width 201 becomes 202: YUV420P10 cannot hold that"]
    ] * 2
    lines = done.stderr.splitlines()
    assert sum("runs the networks" in line for line in lines) == 1
    assert sum("width 201 becomes 202" in line for line in lines) == 2


def test_a_run_says_once_that_it_waits_for_another(film: Path, settings: Arguments, tmp_path: Path) -> None:
    log = tmp_path / "log"
    arguments = [*ARGV, *map(str, ("batch", film, "--out", tmp_path / "out", *settings))]
    with FileLock(tmp_path / "out" / ".srcomp" / "film.mkv.lock"), log.open("w") as opened:
        process = subprocess.Popen(arguments, stderr=opened)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and "waiting" not in log.read_text():
            time.sleep(0.1)
        time.sleep(2.5)  # in which it looks twice
    assert process.wait(60) == 0, log.read_text()
    assert log.read_text().splitlines().count(f"{film}: another run works on it; waiting") == 1


def test_a_container_that_cannot_hold_the_codec_is_a_mistake_in_the_command(
    command: Command, film: Path, tmp_path: Path
) -> None:
    for dry in ((), ("--dry-run",)):
        done = command("batch", film, "--out", tmp_path / "out", "--container", "webm", "--encoder", "x264", *dry)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("vs-srcomp: error: .webm files cannot hold what x264 makes\nwrite a .mkv file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("segments", [0, 3, 8])
def test_a_run_that_is_killed_goes_on_with_the_same_result(
    film: Path, settings: Arguments, command: Command, uninterrupted: Path, tmp_path: Path, segments: int
) -> None:
    arguments = ("batch", film, "--out", tmp_path, *settings)
    parts = tmp_path / ".srcomp" / "film.mkv.parts"
    with subprocess.Popen([*ARGV, *map(str, arguments)], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not parts.is_dir() or len(list(parts.glob("0*.json"))) < segments:
            if process.poll() is not None:
                break
            assert time.monotonic() < deadline
            time.sleep(0.002)
        # Joining 8 small segments, which are all, may take less time than looking.
        assert segments == 8 or process.poll() is None
        process.kill()
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in report_of(tmp_path) if line["status"] in ("done", "skipped"))
    assert (segments == 8 and line["status"] == "skipped") or line["reused"] >= segments
    assert packets_of(tmp_path / "film.mkv", 0) == packets_of(uninterrupted, 0)
    assert packets_of(tmp_path / "film.mkv", 1) == packets_of(uninterrupted, 1)
    assert not parts.exists()


def test_an_interrupt_ends_a_run_that_can_go_on(model: Path, tmp_path: Path, shared_data: Path) -> None:
    film = shared_data / "av1" / "beach.webm"
    arguments = ("batch", film, "--out", tmp_path, "--model", model, "--preset", "12", "--segment-seconds", "0.4")
    parts = tmp_path / ".srcomp" / "beach.mkv.parts"
    with subprocess.Popen([*ARGV, *map(str, arguments)], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not list(parts.glob("0*.json")):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "vs-srcomp: stopped by SIGINT; the same command goes on with it"
    (line,) = report_of(tmp_path)
    assert line["status"] == "cancelled"
    assert not (tmp_path / "beach.mkv").exists()
    assert {path.suffix for path in parts.iterdir()} == {".av1", ".json"}
    assert not [path for path in parts.iterdir() if path.name.startswith(".")]


def test_two_runs_at_once_share_the_work(film: Path, settings: Arguments, tmp_path: Path, uninterrupted: Path) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for number in range(3):
        shutil.copy(film, clips / f"{number}.mkv")
    arguments = [*ARGV, *map(str, ("batch", clips, "--out", out, *settings))]
    runs = [subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    done = [line["source"] for line in report_of(out) if line["status"] == "done"]
    assert sorted(done) == [str(clips / f"{number}.mkv") for number in range(3)]
    for number in range(3):
        assert packets_of(out / f"{number}.mkv", 0) == packets_of(uninterrupted, 0)


def test_a_plan_writes_nothing(command: Command, film: Path, settings: Arguments, tmp_path: Path) -> None:
    (tmp_path / "empty.mkv").touch()
    done = command("batch", film, tmp_path / "*.mkv", "--out", tmp_path / "out", "--dry-run", *settings)
    assert (done.returncode, done.stdout) == (1, "")
    heading, row, problem, _, total = done.stderr.splitlines()
    assert heading.split() == ["clip", "state", "from", "to", "ratio", "frames", "segments", "models", "time", "space"]
    assert row.split()[:8] == [str(film), "new", "96x64", "192x128", "2", "40", "8", "brighter.onnx"]
    assert problem.endswith("empty.mkv' is empty")
    assert total.startswith("2 clips: about 0:00:")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.mkv"]


def test_a_plan_has_the_notes_of_the_run(command: Command, film: Path, settings: Arguments, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    plan = command("batch", cut, "--out", tmp_path / "out", "--dry-run", *settings)
    assert plan.returncode == 0
    done = command("batch", cut, "--out", tmp_path / "out", *settings)
    assert done.returncode == 0
    (report,) = report_of(tmp_path / "out")
    assert any("it seems to be cut off" in note for note in report["notes"])
    for note in report["notes"]:
        assert plan.stderr.count(f"{cut}: {note}\n") == 1
    assert plan.stderr.count(f"{cut}: ") == len(report["notes"])


def test_a_plan_names_what_the_run_would_refuse(
    command: Command, film: Path, settings: Arguments, tmp_path: Path
) -> None:
    (tmp_path / "film.mkv").write_bytes(b"somebody else's")
    arguments = ("batch", film, "--out", tmp_path, "--dry-run", *settings)
    done = command(*arguments)
    assert done.returncode == 1
    assert "film.mkv' exists\nwrite to another folder, or replace it with --overwrite" in done.stderr
    assert command(*arguments, "--overwrite").returncode == 0


def test_a_disk_that_seems_too_small_is_refused_or_ignored(
    film: Path, settings: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vs_srcomp.batch.disk_space.free_bytes", lambda folder: 1000)
    arguments = ["batch", *map(str, (film, "--out", tmp_path, *settings))]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1
    assert "1 kB are free\nfree some space, write to another disk, or skip this check with --ignore-space" in (
        refused.stderr
    )
    assert not (tmp_path / "film.mkv").exists()
    done = CliRunner().invoke(main, [*arguments, "--ignore-space"])
    assert done.exit_code == 0, done.stderr
    assert times_of(tmp_path / "film.mkv") == times_of(film)


def test_a_folder_that_looks_like_an_address(
    film: Path, settings: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["batch", str(film), "--out", "Show: 1", *map(str, settings)])
    assert done.exit_code == 0, done.output
    assert times_of(tmp_path / "Show: 1" / "film.mkv") == times_of(film)


def test_a_report_is_added_to_reports_alone(
    command: Command, film: Path, settings: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other.json"
    other.write_text('{"answer": 42}\n')
    (tmp_path / "out").mkdir()
    for report, problem in ((other, "is not a report"), (Path("out") / "film.mkv", "is an output")):
        done = command("batch", film, "--out", tmp_path / "out", "--report", report, *settings)
        assert done.returncode == 1
        assert problem in done.stderr
    assert other.read_text() == '{"answer": 42}\n'


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("container", ["mkv", "png"])
def test_work_goes_on_without_a_report(
    command: Command, film: Path, settings: Arguments, tmp_path: Path, container: str
) -> None:
    sources = [tmp_path / f"{number}{'.png' if container == 'png' else film.suffix}" for number in range(2)]
    for source in sources:
        if container == "png":
            Image.new("RGB", (64, 48)).save(source)
        else:
            shutil.copy(film, source)
    options = settings[:2] if container == "png" else settings  # the others are for videos
    out = tmp_path / "out"
    done = command("batch", *sources, "--out", out, "--report", "/dev/full", "--container", container, *options)
    assert done.returncode == 1
    assert done.stderr.count("not in the report: cannot write '/dev/full': no space left on device") == 2
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == [f"0.{container}", f"1.{container}"]


def test_a_plan_refuses_outputs_of_one_name(command: Command, film: Path, tmp_path: Path) -> None:
    for name in ("film.mkv", "film.mp4"):
        shutil.copy(film, tmp_path / name)
    done = command("batch", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    what, todo = done.stderr.splitlines()
    assert "film.mkv' and '" in what
    assert f"would both become '{tmp_path / 'out' / 'film.mkv'}'" in what
    assert todo == "do them in two runs, each with a pattern such as '*.mp4' and another --out or --suffix"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mkv", "film.mp4"]


@pytest.mark.parametrize(
    "options", [(), ("in.mkv", "--jobs", "2", "--cluster=local"), ("in.mkv", "--encoder", "x264", "--preset", "8")]
)
def test_wrong_usage(command: Command, tmp_path: Path, options: Arguments) -> None:
    done = command("batch", *options, "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("vs-srcomp: error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to(command: Command, film: Path) -> None:
    done = command("batch", film, "--out", "/proc/nowhere")
    assert done.returncode == 1
    assert "cannot make the folder '/proc/nowhere'" in done.stderr
