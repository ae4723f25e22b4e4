"""Errors of this package, which state what is wrong and what to do; and messages of other libraries' exceptions."""

import re
from typing import Self

import vapoursynth as vs

PREFIX = "srcomp: "
"""Prefix of every error and log message of this package."""

# The prefix at the beginning, or behind the type in the last line of a traceback; elsewhere it may be part of a name.
_BEGIN = re.compile(rf"(?:^|Error: ){PREFIX}", re.MULTILINE)


class SrcompError(vs.Error):  # type: ignore[misc]  # VapourSynth has no stub for it
    """An error with a remedy. Its text is ``srcomp: {what}``, a line break, and the remedy.

    Raised in a frame callback, it reaches the caller as a plain `vs.Error`: the core keeps only its text, with the
    callback's traceback before it. `what_and_remedy` and `message_of` read both forms.
    """

    def __init__(self, what: str, remedy: str) -> None:
        """Make an error.

        Args:
            what: What is wrong, in lower case, without a full stop.
            remedy: What to do. It is the last line, because previewers show the end of a message.
        """
        super().__init__(f"{PREFIX}{what}\n{remedy}")
        self.what = what
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """Pickle the fields, for worker processes."""
        return type(self), (self.what, self.remedy)


def error(what: str, remedy: str) -> SrcompError:
    """Short for `SrcompError`."""
    return SrcompError(what, remedy)


def message_of(failure: BaseException) -> str:
    """The text of ``failure`` without the package's prefix and without the traceback of a frame callback."""
    if isinstance(failure, SrcompError):
        return f"{failure.what}\n{failure.remedy}"
    return _BEGIN.split(str(failure))[-1].strip()


def what_and_remedy(failure: BaseException) -> tuple[str, str]:
    """The fields of a `SrcompError`, also after a frame callback; the remedy of other exceptions is empty."""
    if isinstance(failure, SrcompError):
        return failure.what, failure.remedy
    message = message_of(failure)
    what, separator, remedy = message.rpartition("\n") if _BEGIN.search(str(failure)) else (message, "", "")
    return (what, remedy) if separator else (message, "")


def first_line(failure: BaseException | str) -> str:
    """The first line of a message without `PREFIX`; for an empty one, the exception's type."""
    return _lines(failure)[0]


def last_line(failure: BaseException | str) -> str:
    """The last line of a message, as for `first_line`. Native libraries put the cause there."""
    return _lines(failure)[-1]


def _lines(failure: BaseException | str) -> list[str]:
    text = failure if isinstance(failure, str) else message_of(failure)
    return [line.strip() for line in text.strip().splitlines()] or [
        "" if isinstance(failure, str) else type(failure).__name__
    ]


def check_flags(**flags: bool) -> None:
    """Refuse values that are neither bool nor 0 or 1, as VapourSynth has flags: ``"no"`` and ``"off"`` would be true.

    Raises:
        vs.Error: One is something else.
    """
    for name, value in flags.items():
        if not isinstance(value, int) or value not in (True, False):
            raise error(f"{name}={value!r} is neither True nor False", f"give {name}=True or {name}=False")
