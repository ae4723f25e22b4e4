"""One job: upscale a video file, and copy everything else in it.

Read `run` first: it is the whole job. `job` has the description and the result, `prepare` does everything that can fail
early, `graph` builds the clips.
"""

from vs_srcomp.transcode.job import Job, Result
from vs_srcomp.transcode.run import transcode

__all__ = ["Job", "Result", "transcode"]
