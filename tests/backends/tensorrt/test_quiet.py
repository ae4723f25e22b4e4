"""Standard output belongs to the video: each test looks at it from outside, in a process of its own."""

import subprocess
import sys

import pytest

CODE = """
import ctypes, os, sys, threading
from vs_srcomp.backends.tensorrt.quiet import stdout_to_stderr
libc = ctypes.CDLL(None)

def shout(word):
    libc.puts(b"C " + word)             # buffered by the C library, as stdout is a pipe
    print("Python", word.decode())      # buffered by Python
    os.write(1, b"system " + word + b"\\n")

"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CODE + code], capture_output=True, text=True, check=False)


def lines(text: str) -> set[str]:
    return set(text.split("\n")) - {""}


def test_what_is_printed_in_the_block_goes_to_standard_error() -> None:
    done = run("shout(b'before')\nwith stdout_to_stderr(): shout(b'within')\nshout(b'after')")
    assert lines(done.stdout) == {f"{who} {when}" for who in ("C", "Python", "system") for when in ("before", "after")}
    assert lines(done.stderr) == {"C within", "Python within", "system within"}


def test_what_was_printed_before_an_exception_stays_away_too() -> None:
    done = run("try:\n    with stdout_to_stderr(): shout(b'within'); 1 / 0\nexcept ZeroDivisionError: shout(b'after')")
    assert lines(done.stdout) == {"C after", "Python after", "system after"}


def test_blocks_in_blocks_end_where_they_began() -> None:
    done = run("with stdout_to_stderr():\n    with stdout_to_stderr(): shout(b'a')\n    shout(b'b')\nshout(b'c')")
    assert lines(done.stdout) == {"C c", "Python c", "system c"}


def test_other_threads_leave_the_host_its_standard_output() -> None:
    """There, frames are made, while the host may be writing others."""
    code = """
def work():
    with stdout_to_stderr():
        os.write(1, b"a frame")
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    assert run(code).stdout == "a frame"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no shells of this kind")
@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_streams_that_are_closed_are_no_obstacle(closed: str) -> None:
    code = CODE.replace('"', "'") + "with stdout_to_stderr(): libc.puts(b'x')\nsys.exit(7)"
    done = subprocess.run(["sh", "-c", f'"{sys.executable}" -c "$0" {closed}', code], capture_output=True, check=False)
    assert done.returncode == 7
