"""The one way this package reports what it cannot do, and arguments that are of no use."""

import vapoursynth as vs


def error(what: str, todo: str) -> vs.Error:
    """An error in the package's voice.

    Args:
        what: What is wrong, in lower case, without a full stop.
        todo: What the user can do about it. It stands on the last line, because VapourSynth prints
            the traceback of a frame callback before the message and viewers show the end.
    """
    return vs.Error(f"srcomp: {what}\n{todo}")


def check_flags(**flags: bool) -> None:
    """Refuse values of other types for what is on or off: ``"no"`` and ``"off"`` would be on.

    Raises:
        vs.Error: One is neither True nor False.
    """
    for name, value in flags.items():
        if value not in (True, False):
            raise error(f"{name}={value!r} is neither True nor False", f"give {name}=True or {name}=False")
