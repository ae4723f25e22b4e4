"""A running mpv, controlled over its socket."""

import json
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PATIENCE = 120.0
"""Seconds; machines that test are slow at times."""


class Player:
    """mpv without window and sound."""

    def __init__(self, mpv: str, folder: Path, clip: str | Path, *options: str) -> None:
        """Start it with ``clip``; socket and log go to ``folder``."""
        self.log = folder / "log"
        address = str(folder / "socket")
        quiet = ["--no-config", "--no-terminal", "--vo=null", "--ao=null", "--idle=yes", "--keep-open=yes"]
        talking = [f"--input-ipc-server={address}", f"--log-file={self.log}"]
        self._process = subprocess.Popen([mpv, *quiet, *talking, *options])
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self.wait(lambda: self._socket.connect_ex(address) == 0)
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._events: list[str] = []
        # Only now, so that none of its events is missed.
        self.command("loadfile", str(clip))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._lines.close()
        self._socket.close()

    def command(self, *arguments: object) -> Any:
        """What mpv answers; None if it says that there is an error."""
        self._socket.sendall(json.dumps({"command": arguments}).encode() + b"\n")
        while "error" not in (answer := self._read()):
            self._events.append(answer["event"])
        return answer.get("data", True) if answer["error"] == "success" else None

    def get(self, name: str) -> Any:
        """A property, or None if there is none now."""
        return self.command("get_property", name)

    def event(self, name: str) -> None:
        """Wait for an event that has not been waited for yet."""
        while name not in self._events:
            self._events.append(self._read()["event"])
        del self._events[: self._events.index(name) + 1]

    def forget_events(self) -> None:
        """Those until now."""
        self.get("pid")
        self._events.clear()

    def wait(self, condition: Callable[[], object]) -> None:
        """Until ``condition`` is true."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self._process.poll() is None, f"mpv ended with {self._process.returncode}"
            assert time.monotonic() < end, f"mpv does not get there:\n{self.troubles()}"
            time.sleep(0.02)

    def expect(self, name: str, value: object) -> None:
        """Wait until a property has ``value``."""
        self.wait(lambda: self.get(name) == value)

    def troubles(self) -> str:
        """Errors in the log."""
        lines = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        return "\n".join(line for line in lines if "][e][" in line or "][f][" in line or "Disabling filter" in line)

    def _read(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._lines.readline())
        return answer
