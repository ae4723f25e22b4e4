"""The command in its own process."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

type Command = Callable[..., subprocess.CompletedProcess[str]]

ARGV = [sys.executable, "-c", "from vs_srcomp.cli import run; run()"]


@pytest.fixture(scope="session")
def command() -> Command:
    """Run ``vs-srcomp`` with the given arguments in a process of its own."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*ARGV, *map(str, arguments)], capture_output=True, text=True, check=False)

    return run
