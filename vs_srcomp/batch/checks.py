"""What a batch can find out about each finished output."""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vs_srcomp.batch.records import Share
from vs_srcomp.errors import error
from vs_srcomp.progress import Progress, check_cancelled
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
                "redo it with --restart; if that does not help, please report it",
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
            self.job.target,
            reference_of(self.job, self.reference),
            threads=max(1, share.threads),
            progress=progress,
            cancel=cancel,
        )
        psnr = None if math.isinf(found.psnr_y) else round(found.psnr_y, 4)
        return {"psnr_y": psnr, "ssim": round(found.ssim, 6), "vmaf": round(found.vmaf, 4), "frames": found.frames}


def reference_of(job: Job, reference: Path) -> Path:
    """The reference for a job: a file, or that of a folder which is called as the source is, up to the suffix.

    Raises:
        vs.Error: There is no such file, or the folder has none, or several.
    """
    if not reference.is_dir():
        return Path(local_file(reference))
    found = [file for file in reference.iterdir() if file.stem == job.source.stem and file.is_file()]
    if len(found) == 1:
        return found[0]
    raise error(
        f"there are {len(found)} files in {str(reference)!r} that are called {job.source.stem!r}",
        "the folder of references needs one for each source, of the same name up to the suffix",
    )


@dataclass(frozen=True)
class ComparisonCheck:
    """An HTML page beside the output: Lanczos-5 and the output against a reference; see `vs_srcomp.compare`."""

    job: Job
    reference: Path
    """As of `MetricsCheck`."""

    @property
    def name(self) -> str:
        """In the report."""
        return "comparison"

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> dict[str, Any]:
        """Where the page is.

        Raises:
            vs.Error: There is no such reference, or it does not fit, or a package is missing.
            CancelledError: ``cancel`` was set.
        """
        from vs_srcomp.compare import Options, candidate_from_file, write_report
        from vs_srcomp.compare.inputs import enlarged

        def show(what: str, done: int, total: int) -> None:
            check_cancelled(cancel)
            progress(done, total)

        output = candidate_from_file(self.job.target)
        plain = enlarged(candidate_from_file(self.job.source), output.clip.width, output.clip.height)
        # A part of the source, or one that was deinterlaced, has other frames.
        candidates = [plain, output] if plain.clip.num_frames == output.clip.num_frames else [output]
        page = self.job.target.with_name(f"{self.job.target.stem}.compare.html")
        options = Options(threads=max(1, share.threads), title=self.job.target.name, overwrite=True)
        write_report(candidates, candidate_from_file(reference_of(self.job, self.reference)), page, options, show)
        return {"page": str(page)}
