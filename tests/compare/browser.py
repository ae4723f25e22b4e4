"""Chromium without a window, driven by its DevTools protocol over two pipes."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Chromium reads commands from file descriptor 3 and writes answers to 4.
_LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for number, end in enumerate(ends, 3):
    os.dup2(end, number)
os.execvp(sys.argv[3], sys.argv[3:])
"""

_PATIENCE = 120
"""Seconds, for machines that are busy with something else."""


class Page:
    """A tab of a running browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Run a method of the protocol; events that come in the meantime are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            read = os.read(self._answers, 1 << 20)
            assert read, "the browser has ended"
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def resize(self, width: int, height: int, *, pixels: float = 1, touch: bool = False) -> None:
        """The window in CSS pixels, with so many device pixels for each."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=pixels, mobile=touch
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch, maxTouchPoints=2 if touch else 1)

    def open(self, address: str) -> None:
        """Load a page, and wait until its first pictures are shown."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.wait("document.body && document.body.dataset.frame !== undefined")

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression is true."""
        end = time.monotonic() + _PATIENCE
        while not self.run(condition):
            assert time.monotonic() < end, f"{condition} does not come true"
            time.sleep(0.02)

    def center(self, selector: str) -> tuple[float, float]:
        """Of an element, in the window; it is brought into it first."""
        box = self.run(
            f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: 'center'}}); "
            "const b = e.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; })()"
        )
        return float(box[0]), float(box[1])

    def click(self, selector: str) -> None:
        """With the mouse, on the middle of an element."""
        self.drag(self.center(selector))

    def drag(self, start: tuple[float, float], *stops: tuple[float, float]) -> None:
        """Press the mouse at ``start``, move it along ``stops``, and let go."""
        self.mouse("mouseMoved", start)
        self.mouse("mousePressed", start)
        for stop in stops:
            self.mouse("mouseMoved", stop, held=True)
        self.mouse("mouseReleased", stops[-1] if stops else start)

    def mouse(self, kind: str, at: tuple[float, float], *, held: bool = False) -> None:
        """A mouse event: ``mouseMoved``, ``mousePressed`` or ``mouseReleased``."""
        button = {} if kind == "mouseMoved" and not held else {"button": "left"}
        count = 0 if kind == "mouseMoved" else 1
        self.call(
            "Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], buttons=int(held), clickCount=count, **button
        )

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """A touch event: ``touchStart``, ``touchMove`` or ``touchEnd``."""
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])

    def key(self, key: str) -> None:
        """Press a key and let it go."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def screenshot(self, path: Path, *, whole: bool = True) -> bytes:
        """The page as PNG, which is also written to ``path``."""
        picture = base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"])
        path.write_bytes(picture)
        return picture

    def complaints(self) -> list[str]:
        """Errors of scripts, and what the page's own policy has refused."""
        self.run("0")
        wrong = ("Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self.events if event.get("method") in wrong]

    def requests(self) -> list[str]:
        """Addresses that were asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A browser with ``folder`` for its own files; tests skip where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    (read_commands, commands), (answers, write_answers) = os.pipe(), os.pipe()
    argv = [sys.executable, "-c", _LAUNCH, str(read_commands), str(write_answers), program]
    argv += ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    argv += ["--disable-background-networking", "--hide-scrollbars", "--remote-debugging-pipe"]
    argv += [f"--user-data-dir={folder}", "about:blank"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(argv, pass_fds=(read_commands, write_answers), start_new_session=True, **quiet)  # type: ignore[call-overload]
    for end in (read_commands, write_answers):
        os.close(end)
    try:
        page = Page(commands, answers)
        yield page
    finally:
        # At its end of the pipe the browser ends, and all its processes with it.
        os.close(commands)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
        os.close(answers)
