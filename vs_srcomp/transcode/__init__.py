"""Video file to upscaled video file: everything but the picture is carried over as it is."""

from vs_srcomp.transcode.job import Job, Result
from vs_srcomp.transcode.run import transcode

__all__ = ["Job", "Result", "transcode"]
