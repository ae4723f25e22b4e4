"""A backend by its name, as command lines have it, and back."""

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from vs_srcomp.errors import error

if TYPE_CHECKING:
    from vs_srcomp.backends.base import BackendConfig


def backend_from_text(text: str) -> "BackendConfig":
    """The backend that ``text`` names: ``auto``, or a name and settings, such as ``openvino:streams=2,precision=f32``.

    Raises:
        vs.Error: There is no such backend or setting.
    """
    from vs_srcomp.backends import Backend
    from vs_srcomp.backends.choice import default_backend

    name, _, settings = text.partition(":")
    if name == "auto":
        if settings:
            raise error("the backend auto has no settings", "name a backend, for example openvino:streams=2")
        return default_backend()
    kinds = {key.lower(): kind for key, kind in vars(Backend).items() if not key.startswith("_")}
    if name.lower() not in kinds:
        raise error(f"there is no backend {name!r}", f"use one of auto, {', '.join(kinds)}")
    kind = kinds[name.lower()]
    backend: BackendConfig = kind(**dict(_setting(kind, part) for part in settings.split(",") if part))
    return backend


def _setting(kind: Any, text: str) -> tuple[str, object]:
    """Name and value of one setting, which has the type of its default."""
    name, _, value = text.partition("=")
    defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    if name not in defaults:
        raise error(f"{kind.__name__} has no setting {name!r}", f"use one of {', '.join(defaults)}")
    default = defaults[name]
    if isinstance(default, bool):
        if value in ("true", "false"):
            return name, value == "true"
        raise error(f"{name}={value} is neither true nor false", f"give {name}=true or {name}=false")
    if isinstance(default, int):
        if value.removeprefix("-").isdecimal():
            return name, int(value)
        raise error(f"{name}={value} is no whole number", f"give a number, for example {name}=2")
    return name, value
