"""Messages to the user go through VapourSynth's log: standard output belongs to the video."""

import threading

import vapoursynth as vs

from vs_srcomp.errors import PREFIX


def say(message: str) -> None:
    """Send one line to the core's log, which hosts such as vspipe and mpv show to the user."""
    vs.core.log_message(vs.MESSAGE_TYPE_INFORMATION, f"{PREFIX}{message}")


_said: set[str] = set()
_said_lock = threading.Lock()


def say_once(message: str) -> None:
    """Send a line only once in a process, however often a player loads the script again."""
    # Frames are made by several threads, which may all be the first.
    with _said_lock:
        if message in _said:
            return
        _said.add(message)
    say(message)
