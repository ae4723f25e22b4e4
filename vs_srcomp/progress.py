"""Progress and cancellation of long work."""

import threading
from collections.abc import Callable

type Progress = Callable[[int, int], None]
"""Called often, from the caller's thread, with the number of finished frames and the number of all frames."""


class CancelledError(Exception):
    """The caller has cancelled the work. Nothing is left."""


def check_cancelled(cancel: threading.Event | None) -> None:
    """Raise CancelledError if ``cancel`` is set."""
    if cancel and cancel.is_set():
        raise CancelledError
