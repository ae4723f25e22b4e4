"""Video file to upscaled video file: everything but the picture is carried over as it is."""

from vs_srcomp.transcode.job import Job
from vs_srcomp.transcode.run import Result, transcode

__all__ = ["Job", "Result", "transcode"]
