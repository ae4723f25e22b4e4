"""Super-resolution for compressed video, as a VapourSynth plugin."""

__version__ = "0.1.0"
