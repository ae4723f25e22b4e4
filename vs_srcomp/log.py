"""Messages to the user go through VapourSynth's log: standard output belongs to the video."""

import vapoursynth as vs


def say(message: str) -> None:
    """Send one line to the core's log, which hosts such as vspipe and mpv show to the user."""
    vs.core.log_message(vs.MESSAGE_TYPE_INFORMATION, f"srcomp: {message}")
