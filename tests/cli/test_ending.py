"""Signals end a command in seconds, also while the main thread waits in native code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# A group as the command is one. To lock a lock of the C library twice, which no signal interrupts, stands for a filter
# at work on one frame of a huge picture.
_STUCK = """
import ctypes, time
from pathlib import Path
import click
from vs_srcomp.cli.reports import ReportingGroup
from vs_srcomp.files import atomic_path, temporary_folder

def wait_forever():
    lock = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(lock)

@click.group(cls=ReportingGroup)
def main(): pass

@main.command()
@click.argument("target", type=click.Path(path_type=Path))
def work(target):
    with temporary_folder(target, ".piped") as folder, atomic_path(target):
        (folder / "video").touch()
        print("begun", flush=True)
        {waits}

main()
"""

_WAITS = {
    "in order": "time.sleep(60)",
    "in the work": "wait_forever()",
    "in the cleaning up": """
        try:
            time.sleep(60)
        finally:
            wait_forever()
""",
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("waits", _WAITS)
def test_a_stop_is_prompt_and_leaves_nothing(waits: str, number: signal.Signals, tmp_path: Path) -> None:
    code = _STUCK.replace("{waits}", _WAITS[waits])
    # The tests themselves may run under nohup.
    code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n{code}"
    arguments = [sys.executable, "-c", code, "work", str(tmp_path / "out.mkv")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        began = time.monotonic()
        _, errors = process.communicate(timeout=50)
    assert time.monotonic() - began < 30  # of which 4 are patience, and the rest is for a busy machine
    assert process.returncode == 128 + number
    assert errors == f"vs-srcomp: stopped by {number.name}, nothing unfinished is left behind\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("handler", ["SIG_DFL", "SIG_IGN"])
def test_a_closed_terminal_ends_what_does_not_ignore_it(handler: str) -> None:
    code = (
        f"import signal; signal.signal(signal.SIGHUP, signal.{handler})\n"
        "from vs_srcomp.cli.ending import SIGNALS; print(signal.SIGHUP in SIGNALS)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == f"{handler == 'SIG_DFL'}\n"


LOSES_THE_EXCEPTION = """
import os, signal, time, weakref
from vs_srcomp.cli.ending import Interrupted, signals_raise

class Something:
    pass

def while_freed(_):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)

try:
    with signals_raise():
        something = Something()
        reference = weakref.ref(something, while_freed)
        del something
        print("lost", flush=True)
        time.sleep(3)
        print("never stopped", flush=True)
except Interrupted:
    print("stopped", flush=True)
"""


def test_a_signal_whose_exception_is_dropped_is_sent_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOSES_THE_EXCEPTION], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["lost", "stopped"]


@pytest.mark.parametrize("command", [("models",), ("models", "--json"), ("--help",)], ids=" ".join)
def test_a_reader_that_has_read_enough_is_no_error(command: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    argv = [sys.executable, "-m", "vs_srcomp", *command]
    try:
        done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["models", "--json"], ["--help"], ["probe", "--help"], ["--version"]])
def test_a_full_standard_output_is_named(arguments: list[str]) -> None:
    argv = [sys.executable, "-m", "vs_srcomp", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("vs-srcomp: error: a file or standard output: no space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_work_goes_on_if_nothing_can_be_written_on_standard_error(tmp_path: Path) -> None:
    film = Path(__file__).parents[2] / "examples" / "demo.mkv"
    target = tmp_path / "out.mkv"
    options = ("--ratio", "2:1", "--model", "light", "--preset", "12", "--end", "0.1")
    argv = [sys.executable, "-m", "vs_srcomp", "upscale", str(film), str(target), *options]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=full, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
    assert target.stat().st_size > 0
