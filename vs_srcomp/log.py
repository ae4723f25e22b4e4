"""Messages to the user, through VapourSynth's log: standard output is for video only."""

import threading

import vapoursynth as vs

from vs_srcomp.errors import PREFIX


def log_info(message: str) -> None:
    """Send a line to the core's log, which hosts such as vspipe show to the user."""
    vs.core.log_message(vs.MESSAGE_TYPE_INFORMATION, f"{PREFIX}{message}")


_reported: set[str] = set()
_subject: object = None
_reported_lock = threading.Lock()


def log_about(subject: object) -> None:
    """Let `log_once` send its lines again if ``subject`` is another than before.

    What holds for one clip is news of the next, though the process is the same.
    """
    global _subject
    with _reported_lock:
        if subject != _subject:
            _subject = subject
            _reported.clear()


def log_once(message: str) -> None:
    """Send a line once per process, or per subject of `log_about`, however often a player reloads the script."""
    # Several threads may be the first.
    with _reported_lock:
        if message in _reported:
            return
        _reported.add(message)
    log_info(message)
