"""The arguments of `vs_srcomp.upscale` as one value, for jobs and the command line."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from vs_srcomp.backends.base import BackendConfig


@dataclass(frozen=True, kw_only=True)
class UpscaleSettings:
    """The arguments of `vs_srcomp.upscale` besides the clip, with the same meanings and defaults."""

    ratio: str | None = None
    width: int | None = None
    height: int | None = None
    q: float | Literal["auto"] = "auto"
    model: str | Path = "fast"
    look: str = "faithful"
    passes: int = 1
    ensemble: bool | Literal[2, 4, 8] = False
    sharpness: float = 0.0
    reuse: bool = True
    backend: "BackendConfig | None" = None

    def arguments(self) -> dict[str, Any]:
        """These settings alone, by name, without those of a subclass."""
        return {field.name: getattr(self, field.name) for field in fields(UpscaleSettings)}


def backend_of(settings: UpscaleSettings) -> "BackendConfig":
    """The backend of ``settings``, or the default one; raises the errors of `default_backend`."""
    from vs_srcomp.backends.choice import default_backend  # The command line begins without backends.

    return settings.backend or default_backend()
