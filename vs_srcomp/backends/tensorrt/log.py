"""What TensorRT says while it works, in the core's log."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import vapoursynth as vs

from vs_srcomp.log import say

# Between two lines on how far it is.
_SECONDS = 5.0


class Log:
    """Takes the library's messages: it has one log for all of a process, and writes to it from threads of its own."""

    def __init__(self, trt: Any) -> None:
        """Make the log for the module ``trt``; use ``log_of`` instead, as there must be one only."""
        severe = (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR)
        self._errors: deque[str] = deque(maxlen=20)
        self._environment: Any = None
        take = self._take

        class Logger(trt.ILogger):  # type: ignore[misc]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                if severity in severe or severity == trt.ILogger.Severity.WARNING:
                    take(msg, severity in severe)

        self.logger = Logger()
        """What the library wants."""

    @contextmanager
    def listening(self) -> Iterator["Log"]:
        """Forget earlier errors, and let what is said in the block go to the log that this thread's messages go to."""
        self._errors.clear()
        with suppress(RuntimeError):
            self._environment = vs.get_current_environment()
        yield self

    def tell(self, message: str) -> None:
        """Say a line, from any thread. An exception in one of the library's own threads would end the process."""
        with suppress(Exception), self._environment.use():
            say(message)

    @property
    def errors(self) -> str:
        """What went wrong, in the library's words."""
        return "; ".join(dict.fromkeys(self._errors)) or "it does not say why"

    def _take(self, message: str, is_error: bool) -> None:
        line = " ".join(message.split())
        if is_error:
            self._errors.append(line)
        self.tell(f"TensorRT: {line}")


@cache
def log_of(trt: Any) -> Log:
    """The log of the module ``trt``."""
    return Log(trt)


def progress_monitor(trt: Any, tell: Callable[[str], None]) -> Any:
    """What the library tells how far it is, which goes on to ``tell``, not too often."""

    class Progress(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}
            self._told = time.monotonic()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            # Phases within phases come and go by the hundred.
            if parent_phase is None:
                self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            steps = self._steps.get(phase_name)
            now = time.monotonic()
            if steps and now - self._told >= _SECONDS:
                self._told = now
                tell(f"TensorRT: {phase_name}, {min(step + 1, steps)} of {steps}")
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Progress()
