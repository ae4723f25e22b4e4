"""The one way this package reports what it cannot do."""

import vapoursynth as vs


def error(what: str, todo: str) -> vs.Error:
    """An error in the package's voice.

    Args:
        what: What is wrong, in lower case, without a full stop.
        todo: What the user can do about it. It stands on the last line, because VapourSynth prints
            the traceback of a frame callback before the message and viewers show the end.
    """
    return vs.Error(f"srcomp: {what}\n{todo}")
