"""Messages to the user go through VapourSynth's log: standard output belongs to the video."""

from functools import cache

import vapoursynth as vs


def say(message: str) -> None:
    """Send one line to the core's log, which hosts such as vspipe and mpv show to the user."""
    vs.core.log_message(vs.MESSAGE_TYPE_INFORMATION, f"srcomp: {message}")


@cache
def say_once(message: str) -> None:
    """Send a line that is worth one showing a process, however often a player loads the script again."""
    say(message)
