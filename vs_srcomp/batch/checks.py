"""What a batch can find out about each finished output."""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vs_srcomp.batch.records import Share
from vs_srcomp.errors import error
from vs_srcomp.progress import Progress
from vs_srcomp.quality.measure import measure
from vs_srcomp.quality.verify.run import verify
from vs_srcomp.source.media import local_file
from vs_srcomp.transcode.job import Job

# Enough of the faults of an output that is wrong from beginning to end.
_MOST_FAULTS = 5


@dataclass(frozen=True)
class VerifyCheck:
    """Whether the output has all that its source has; see `vs_srcomp.quality.verify.run.verify`."""

    job: Job

    @property
    def name(self) -> str:
        """In the report."""
        return "verify"

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> dict[str, Any]:
        """What the container or the codec has no place for.

        Raises:
            vs.Error: The output is not what it should be.
        """
        findings = verify(self.job, progress=progress, cancel=cancel)
        faults = [str(finding) for finding in findings if finding.fault]
        if faults:
            more = len(faults) - _MOST_FAULTS
            shown = faults[:_MOST_FAULTS] + ([f"and {more} more"] if more > 0 else [])
            raise error(
                f"{self.job.target.name!r} is not what it should be: {'; '.join(shown)}",
                "make it anew with --restart; if that does not help, please report it",
            )
        return {"lost": [str(finding) for finding in findings]}


@dataclass(frozen=True)
class MetricsCheck:
    """How close the output is to a reference; see `vs_srcomp.quality.measure.measure`."""

    job: Job
    reference: Path
    """A video file, or a folder with one that is called as the source is, up to the suffix."""

    @property
    def name(self) -> str:
        """In the report."""
        return "metrics"

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> dict[str, Any]:
        """The figures; a PSNR that is infinite, because the pictures are equal, is None.

        Raises:
            vs.Error: There is no such reference, or it does not fit.
        """
        found = measure(
            self.job.target, self.reference_file(), threads=max(1, share.threads), progress=progress, cancel=cancel
        )
        psnr = None if math.isinf(found.psnr_y) else round(found.psnr_y, 4)
        return {"psnr_y": psnr, "ssim": round(found.ssim, 6), "vmaf": round(found.vmaf, 4), "frames": found.frames}

    def reference_file(self) -> Path:
        """What the output is compared with.

        Raises:
            vs.Error: There is no such file, or not one in the folder.
        """
        if not self.reference.is_dir():
            return Path(local_file(self.reference))
        found = [file for file in self.reference.iterdir() if file.stem == self.job.source.stem and file.is_file()]
        if len(found) == 1:
            return found[0]
        raise error(
            f"there are {len(found)} files in {str(self.reference)!r} that are called {self.job.source.stem!r}",
            "the folder of references needs one for each source, of the same name up to the suffix",
        )
