"""Checks of each finished output."""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vs_srcomp.batch.records import Share
from vs_srcomp.errors import error
from vs_srcomp.files import cannot_read, path_text
from vs_srcomp.progress import Progress, check_cancelled
from vs_srcomp.quality.measure import measure
from vs_srcomp.quality.verify.run import verify
from vs_srcomp.source.media import local_file
from vs_srcomp.transcode.job import Job

# Largest number of faults in a message.
_MOST_FAULTS = 5


@dataclass(frozen=True)
class VerifyCheck:
    """Compares the output with its source; see `vs_srcomp.quality.verify.run.verify`."""

    job: Job

    @property
    def name(self) -> str:
        """In the report."""
        return "verify"

    @property
    def key(self) -> str:
        """It depends on the source alone, which the output's identity has."""
        return self.name

    @property
    def rejects(self) -> bool:
        """Other frames than those of the source are a fault of the output."""
        return True

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> dict[str, Any]:
        """Differences that the container or the codec cannot avoid.

        Raises:
            vs.Error: There are other differences.
        """
        findings = verify(self.job, progress=progress, cancel=cancel)
        faults = [str(finding) for finding in findings if finding.fault]
        if faults:
            more = len(faults) - _MOST_FAULTS
            shown = faults[:_MOST_FAULTS] + ([f"and {more} more"] if more > 0 else [])
            raise error(
                f"{self.job.target.name!r} differs from its source: {'; '.join(shown)}",
                "redo it with --restart; if that does not help, please report it",
            )
        return {"lost": [str(finding) for finding in findings]}


@dataclass(frozen=True)
class Reference:
    """A video file that an output is measured against."""

    file: Path
    state: str
    """What tells one state of the file from another."""

    @classmethod
    def of(cls, job: Job, place: Path, folder: Path) -> "Reference":
        """The reference for a job whose output is in ``folder``, or below it.

        Args:
            job: The job.
            place: The file, or a folder with one of the source's name, up to the suffix, where the output is in
                ``folder``.
            folder: The folder of all outputs.

        Raises:
            vs.Error: There is no such file, the folder has several or cannot be read, or it is the output.
        """
        if place.is_dir():
            place = place / job.target.parent.relative_to(folder)
            try:
                files = list(place.iterdir()) if place.is_dir() else []
            except OSError as reason:
                raise cannot_read(place, reason) from reason
            found = [file for file in files if file.stem == job.source.stem and file.is_file()]
        else:
            found = [Path(local_file(place))]
        others = [file for file in found if not _is_output(file, job)]
        if len(others) == 1:
            return cls(others[0], _state(others[0]))
        if found and not others:
            raise error(
                f"the reference {str(found[0])!r} is the output", "write to another folder, or give another reference"
            )
        raise error(
            f"there are {len(others)} files in {str(place)!r} named {job.source.stem!r}",
            "the folder of references needs one for each source, of the same name up to the suffix",
        )


@dataclass(frozen=True)
class MetricsCheck:
    """Measures the output against a reference; see `vs_srcomp.quality.measure.measure`."""

    job: Job
    reference: Reference

    @property
    def name(self) -> str:
        """In the report."""
        return "metrics"

    @property
    def key(self) -> str:
        """With the state of the reference before it was measured."""
        return f"{self.name} {self.reference.state}"

    @property
    def rejects(self) -> bool:
        """What cannot be measured has the wrong reference."""
        return False

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> dict[str, Any]:
        """The scores. PSNR is None if it is infinite, because the pictures are equal.

        Raises:
            vs.Error: There is no reference, or it has other frames.
        """
        found = measure(
            self.job.target,
            self.reference.file,
            threads=max(1, share.threads),
            progress=progress,
            cancel=cancel,
        )
        psnr = None if math.isinf(found.psnr_y) else round(found.psnr_y, 4)
        return {"psnr_y": psnr, "ssim": round(found.ssim, 6), "vmaf": round(found.vmaf, 4), "frames": found.frames}


@dataclass(frozen=True)
class ComparisonCheck:
    """Writes an HTML page next to the output: Lanczos-5 and the output against a reference; see `vs_srcomp.compare`."""

    job: Job
    reference: Reference

    @property
    def name(self) -> str:
        """In the report."""
        return "comparison"

    @property
    def key(self) -> str:
        """With the states of the reference before, and of the page, which is made again if it is missing."""
        return f"{self.name} {self.reference.state} {_state(self.page)}"

    @property
    def rejects(self) -> bool:
        """As for `MetricsCheck`."""
        return False

    @property
    def page(self) -> Path:
        """The HTML file."""
        return self.job.target.with_name(f"{self.job.target.stem}.compare.html")

    def check_page(self) -> None:
        """Raise an error if the page would replace a file that is none."""
        from vs_srcomp.compare.report import is_report

        if self.page.is_dir() or (self.page.exists() and not is_report(self.page)):
            raise error(f"{str(self.page)!r} exists, and a page of this name belongs to the output", "move it away")

    def run(self, share: Share, progress: Progress, cancel: threading.Event) -> dict[str, Any]:
        """The path of the page.

        Raises:
            vs.Error: There is no reference, it has other frames, or a package is missing.
            CancelledError: ``cancel`` was set.
        """
        from vs_srcomp.compare import Options, candidate_from_file, write_report
        from vs_srcomp.compare.inputs import enlarged

        def show(what: str, done: int, total: int) -> None:
            check_cancelled(cancel)
            progress(done, total)

        output = candidate_from_file(self.job.target)
        plain = enlarged(candidate_from_file(self.job.source), output.clip.width, output.clip.height)
        # A section of the source, or a deinterlaced one, has other frames.
        candidates = [plain, output] if plain.clip.num_frames == output.clip.num_frames else [output]
        options = Options(threads=max(1, share.threads), title=self.job.target.name, overwrite=True)
        write_report(candidates, candidate_from_file(self.reference.file), self.page, options, show)
        return {"page": path_text(self.page)}


def _is_output(file: Path, job: Job) -> bool:
    return file.absolute() == job.target.absolute() or (job.target.exists() and job.target.samefile(file))


def _state(file: Path) -> str:
    """What tells one state of a file from another."""
    try:
        status = file.stat()
    except OSError:
        return f"{path_text(file)} missing"
    return f"{path_text(file)} {status.st_size} {status.st_mtime_ns}"
