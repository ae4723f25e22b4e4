"""Kinds of arguments that commands share."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

_TIME = re.compile(r"(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):)?(?P<seconds>\d+(?:\.\d*)?|\.\d+)")


class Time(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """A moment: seconds, or hours, minutes and seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """Seconds."""
        match = _TIME.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not a time: give seconds, or HH:MM:SS.mmm", param, ctx)
        hours, minutes, seconds = (Fraction(part or 0) for part in match.group("hours", "minutes", "seconds"))
        return hours * 3600 + minutes * 60 + seconds


class Quantizer(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """A compression level, or ``auto``."""

    name = "auto|0..63"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """The level, or ``"auto"``."""
        if value == "auto":
            return "auto"
        try:
            level = float(value)
        except ValueError:
            level = -1
        if not 0 <= level <= 63:
            self.fail(f"{value!r} is not a compression level: give auto, or a number from 0 to 63", param, ctx)
        return level


class ModelName(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """A tier, or the path of an ONNX file."""

    name = "tier|file.onnx"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | Path:
        """A path where the name ends in ``.onnx``."""
        return Path(value) if str(value).endswith(".onnx") else str(value)
