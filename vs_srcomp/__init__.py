"""Super-resolution for compressed video, as a VapourSynth plugin."""

from vs_srcomp.backends import Backend
from vs_srcomp.grain import restore_grain
from vs_srcomp.models import Model, models
from vs_srcomp.source import source
from vs_srcomp.upscale import upscale

__version__ = "0.2.0"

__all__ = ["Backend", "Model", "models", "restore_grain", "source", "upscale"]
