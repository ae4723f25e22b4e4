"""What is checked before a batch begins, and of its outputs."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vs_srcomp.cli.arguments import usage_errors
from vs_srcomp.cli.reports import print_line
from vs_srcomp.media.containers import container_for

if TYPE_CHECKING:
    from vs_srcomp.backends.base import BackendConfig
    from vs_srcomp.batch.pool import Check
    from vs_srcomp.transcode import Job

# Bytes of a report's line, which has paths, scores and messages, and how it begins.
_LONGEST_LINE = 1 << 20
_BEGIN = b'{"time": '


def check_report(file: Path, outputs: "Sequence[tuple[Path, Path]]") -> None:
    """Raise the error of a report that would be written into another kind of file."""
    from vs_srcomp.errors import error

    if file.absolute() in {target.absolute() for _, target in outputs}:
        raise error(f"{str(file)!r} is an output", "give the report another name, such as report.jsonl")
    if file.is_file():
        with file.open("rb") as opened:
            first = opened.readline(_LONGEST_LINE)
        if first and not _is_report(first):
            raise error(f"{str(file)!r} is not a report", "give the report another name, such as report.jsonl")


def _is_report(line: bytes) -> bool:
    """Whether ``line`` is the first of a report, be it cut off by a full disk."""
    try:
        record = json.loads(line)
    except ValueError:
        return not line.endswith(b"\n") and line[: len(_BEGIN)] == _BEGIN[: len(line)]
    return isinstance(record, dict) and {"status", "source"} <= record.keys()


def check_container(job: "Job") -> None:
    """Raise the usage error of a container that cannot hold what the encoder makes: no clip could be finished."""
    from vs_srcomp.transcode.job import encoder_settings
    from vs_srcomp.transcode.prepare import check_codec

    encoder = encoder_settings(job).kind
    if encoder.codec:  # that of a program is not known before it has written
        with usage_errors():
            check_codec(container_for(job.target), encoder, encoder.codec)


def output_checks(
    verifies: bool, references: Path | None, folder: Path, *, shows: bool
) -> "list[Callable[[Job], Check]]":
    """What is to be found out about each output."""
    from vs_srcomp.batch.checks import ComparisonCheck, MetricsCheck, Reference, VerifyCheck
    from vs_srcomp.compare import missing_packages

    checks: list[Callable[[Job], Check]] = [VerifyCheck] if verifies else []
    if references:
        checks.append(lambda job: MetricsCheck(job, Reference.of(job, references, folder)))
        if shows and (missing := missing_packages()):
            print_line(f"HTML pages are left out: they need {' and '.join(missing)}, pip install 'vs-srcomp[compare]'")
        elif shows:
            checks.append(lambda job: ComparisonCheck(job, Reference.of(job, references, folder)))
    return checks


def check_references(work: "Sequence[Job]", references: Path, folder: Path, report_file: Path | None) -> None:
    """Raise the error of outputs that could not be measured, or shown, when they are done."""
    from vs_srcomp.batch.checks import ComparisonCheck, Reference
    from vs_srcomp.errors import error
    from vs_srcomp.quality.libvmaf import vmaf_program

    vmaf_program()
    for job in work:
        comparison = ComparisonCheck(job, Reference.of(job, references, folder))
        if report_file and report_file == comparison.page:
            raise error(
                f"{str(report_file)!r} is the page of an output", "give the report another name, such as report.jsonl"
            )
        if report_file:
            comparison.check_page()


def check_backend(backend: "BackendConfig") -> None:
    """Raise the error of what could run no clip at all."""
    from vs_srcomp.errors import error

    if reason := backend.why_not():
        raise error(
            f"{type(backend).__name__} cannot run here: {reason}",
            "take another backend, or run vs-srcomp doctor",
        )
