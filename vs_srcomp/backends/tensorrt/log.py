"""TensorRT's messages, in the core's log."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import vapoursynth as vs

from vs_srcomp.log import log_info


class Log:
    """Receives the library's messages. The library has one log per process, and writes to it from its own threads."""

    def __init__(self, trt: Any) -> None:
        """Make the log for the module ``trt``. Call ``log_of`` instead: there must be only one."""
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
        """The library's interface."""

    @contextmanager
    def listening(self) -> Iterator["Log"]:
        """Clear earlier errors. Messages in the block go to the log of this thread's environment."""
        self._errors.clear()
        with suppress(RuntimeError):
            self._environment = vs.get_current_environment()
        yield self

    def write(self, message: str) -> None:
        """Log a line, from any thread. An exception in one of the library's own threads would end the process."""
        with suppress(Exception), self._environment.use():
            log_info(message)

    @property
    def errors(self) -> str:
        """The errors since then."""
        return "; ".join(dict.fromkeys(self._errors)) or "without a message"

    def _take(self, message: str, is_error: bool) -> None:
        line = " ".join(message.split())
        if is_error:
            self._errors.append(line)
        self.write(f"TensorRT: {line}")


@cache
def log_of(trt: Any) -> Log:
    """The log of the module ``trt``."""
    return Log(trt)
