"""Processes that tests do not start by themselves."""

import os
import signal
import time
from pathlib import Path


def is_running(pid: int | str) -> bool:
    """Whether a process is there, and not only its exit code, which waits for a parent to fetch it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int | str, seconds: float = 10) -> bool:
    """Whether a process ends within that time; one that does not is killed."""
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    if is_running(pid):
        os.kill(int(pid), signal.SIGKILL)
        return False
    return True
