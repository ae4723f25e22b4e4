"""Backends from a text, as command lines give them."""

import re
from dataclasses import MISSING, fields
from typing import Any

from vs_srcomp.backends.base import BackendConfig
from vs_srcomp.backends.choice import default_backend
from vs_srcomp.backends.registry import BACKENDS
from vs_srcomp.errors import error

# A comma that no setting follows belongs to the value, as in device=AUTO:GPU,CPU.
_BEFORE_SETTING = re.compile(r",(?=\w+=)")
_CARDS = re.compile(r"\d+(,\d+)+", re.ASCII)


def backend_from_text(text: str) -> BackendConfig:
    """The backend for a text: ``auto``, or a name and settings, such as ``openvino:streams=2,precision=f32``.

    A list of cards is their numbers with commas: ``torch:device=0,1``.

    Raises:
        vs.Error: There is no such backend or setting.
    """
    name, _, settings = text.partition(":")
    if name == "auto":
        if settings:
            raise error("the backend auto has no settings", "name a backend, for example openvino:streams=2")
        return default_backend()
    kinds = {entry.name: entry.kind for entry in BACKENDS}
    if name.lower() not in kinds:
        raise error(f"there is no backend {name!r}", f"use one of auto, {', '.join(kinds)}")
    kind = kinds[name.lower()]
    chosen: dict[str, object] = {}
    for part in _BEFORE_SETTING.split(settings) if settings else ():
        setting, value = _setting(kind, part)
        if setting in chosen:
            raise error(f"{setting} is there twice", "give each setting once")
        chosen[setting] = value
    return kind(**chosen)


def _setting(kind: Any, text: str) -> tuple[str, object]:
    """Name and value of one setting, in the type of its default."""
    name, _, value = text.partition("=")
    defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    if name not in defaults:
        raise error(f"{kind.__name__} has no setting {name!r}", f"use one of {', '.join(defaults)}")
    if _CARDS.fullmatch(value):
        return name, tuple(map(int, value.split(",")))
    default = defaults[name]
    if isinstance(default, bool):
        if value in ("true", "false"):
            return name, value == "true"
        raise error(f"{name}={value} is neither true nor false", f"give {name}=true or {name}=false")
    if isinstance(default, int):
        if value.removeprefix("-").isdecimal():
            return name, int(value)
        raise error(f"{name}={value} is not a whole number", f"give a number, for example {name}=2")
    return name, value
