"""How long work reports its progress, and how it is cancelled."""

import threading
from collections.abc import Callable

type Progress = Callable[[int, int], None]
"""Called often, from the caller's thread, with the number of frames done and of all frames."""


class CancelledError(Exception):
    """The caller has set the event that cancels the work. Nothing is left behind."""


def check_cancelled(cancel: threading.Event | None) -> None:
    """Raise CancelledError if ``cancel`` is set."""
    if cancel and cancel.is_set():
        raise CancelledError
