"""One job: video file to upscaled video file; everything but the picture is kept as it is.

`job` describes the work, `prepare` does all that can fail early, `run` does the work. `graph` has the clips.
"""

from vs_srcomp.transcode.job import Job, Result
from vs_srcomp.transcode.run import transcode

__all__ = ["Job", "Result", "transcode"]
