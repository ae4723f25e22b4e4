"""Processes: whether they run, and code for them."""

import os
import signal
import time
from pathlib import Path


def is_running(pid: int | str) -> bool:
    """Whether a process is running; a zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int | str, seconds: float = 10) -> bool:
    """Whether a process ends within that time; otherwise it is killed."""
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    if is_running(pid):
        os.kill(int(pid), signal.SIGKILL)
        return False
    return True


HIDDEN = """
import importlib.abc, sys

class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide())
"""
"""Code that makes the packages in ``{hidden}`` look as if they were not installed."""
