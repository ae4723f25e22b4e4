"""The options of the filter, from its ``user-data`` and the environment."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vs_srcomp.errors import error
from vs_srcomp.geometry import MAX_QUANTIZER, RATIOS, ratio_by_name
from vs_srcomp.models import LOOKS

ENVIRONMENT = "SRCOMP_MPV"
"""Environment variable with options for every file."""

# A comma in a path does not begin another option.
_BETWEEN = re.compile(r",(?=\s*(?:\w+=|,|$))")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options that a user can set in ``user-data``, and in the environment: ``ratio=2:1,q=40,model=fast``."""

    ratio: str = "auto"
    """A ratio, or ``"auto"``: to the size of the display, but not beyond the largest ratio."""
    display: tuple[int, int] | None = None
    """Size of the display in pixels, instead of the player's."""
    q: float | Literal["auto"] = "auto"
    """The compression level, as for ``upscale``."""
    model: str = "fast"
    """A tier, the name of another system's model, or the path of an ONNX file."""
    look: str = "faithful"
    """Of a tier's networks, as for ``upscale``."""
    sharpness: float = 0.0
    """How much luma is sharpened after the network, as for ``upscale``."""
    adapt: bool = True
    """Whether to use a faster network, and then Lanczos alone, if this one is too slow."""
    status: Path | None = None
    """A file for the state of the filter as JSON, which srcomp.lua shows."""


def read_options(*texts: str) -> Options:
    """The options in ``texts``; later texts override earlier ones. vs.Error names the first wrong one."""
    values: dict[str, Any] = {}
    for item in (item.strip() for text in texts for item in _BETWEEN.split(text)):
        if item:
            key, _, value = item.partition("=")
            if key not in _READERS:
                raise error(f"there is no option {key!r}", f"the options are {', '.join(_READERS)}: ratio=2:1,q=40")
            try:
                values[key] = _READERS[key](value)
            except ValueError as reason:
                raise error(f"{key}={value} cannot be understood", f"{key} is {reason}") from None
    return Options(**values)


def _ratio(text: str) -> str:
    if text == "auto":
        return text
    try:
        return ratio_by_name(text).name
    except ValueError:
        raise ValueError(f"auto, or one of {', '.join(ratio.name for ratio in RATIOS)}") from None


def _display(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError("a size in pixels, such as 1920x1080")
    return int(width), int(height)


def _q(text: str) -> float | Literal["auto"]:
    if text == "auto":
        return "auto"
    return _number(text, MAX_QUANTIZER, "auto, or a number from 0 to 63")


def _look(text: str) -> str:
    if text not in LOOKS:
        raise ValueError(" or ".join(LOOKS))
    return text


def _sharpness(text: str) -> float:
    return _number(text, 1, "a number from 0 to 1")


def _number(text: str, highest: float, wanted: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= highest:
        raise ValueError(wanted)
    return number


def _adapt(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("yes or no")
    return text == "yes"


def _file(text: str) -> Path:
    if not Path(text).name:
        raise ValueError("the path of a file")
    return Path(text)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "ratio": _ratio,
    "display": _display,
    "q": _q,
    "model": str,
    "look": _look,
    "sharpness": _sharpness,
    "adapt": _adapt,
    "status": _file,
}
