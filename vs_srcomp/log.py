"""Messages to the user go through VapourSynth's log: standard output belongs to the video."""

import threading

import vapoursynth as vs

from vs_srcomp.errors import PREFIX


def log_info(message: str) -> None:
    """Send one line to the core's log, which hosts such as vspipe and mpv show to the user."""
    vs.core.log_message(vs.MESSAGE_TYPE_INFORMATION, f"{PREFIX}{message}")


_reported: set[str] = set()
_reported_lock = threading.Lock()


def log_once(message: str) -> None:
    """Send a line only once in a process, however often a player loads the script again."""
    # Frames are made by several threads, which may all be the first.
    with _reported_lock:
        if message in _reported:
            return
        _reported.add(message)
    log_info(message)
