"""The parent's side of `vs_srcomp.bench.worker`."""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

import vapoursynth as vs

from vs_srcomp.bench.stage import Stage
from vs_srcomp.errors import error

# Lines of a process's standard error to show if it ends early.
_LAST_LINES = 5


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measurement of one stage."""

    frames: int
    """Number of frames."""
    seconds: float
    """Duration."""
    cpu: float
    """Processor time of all threads in seconds."""
    peak_mb: float
    """Peak memory of the process so far."""
    reused: float | None = None
    """Share of the luma that was copied from memory; None without reuse."""

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds


class StageProcess:
    """A process with a prepared stage, which is idle between measurements."""

    def __init__(self, stage: Stage) -> None:
        """Start the process, and wait until the stage is ready.

        Raises:
            vs.Error: The stage cannot be run here.
        """
        self._stage = stage
        self._stderr = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  # closed by close
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vs_srcomp.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            encoding="utf-8",
            # The terminal's signals are for the parent, which ends this process.
            start_new_session=True,
        )
        try:
            self._ask(asdict(stage))
        except BaseException:
            self.close()
            raise

    def measure(self, seconds: float) -> Measurement:
        """Measure for about so many seconds.

        Raises:
            vs.Error: The stage failed.
        """
        return Measurement(**self._ask(seconds))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _ask(self, request: object) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended_early() from None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended_early()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise error(*answer["error"])
        return answer

    def _ended_early(self) -> vs.Error:
        self._process.wait()
        self._stderr.seek(0)
        last = [line.rstrip() for line in self._stderr if line.strip()][-_LAST_LINES:]
        return error(
            "\n".join([f"{self._stage.title} ended with code {self._process.returncode}", *last]),
            "leave the stage out, or report this with the lines above",
        )
