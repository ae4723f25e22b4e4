"""The machine-readable report of a batch: JSON lines, one for each job."""

import errno
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vs_srcomp.batch.job_report import JobReport
from vs_srcomp.errors import error
from vs_srcomp.files import path_text


class Lines:
    """A file that gets JSON objects, one a line. Several processes may write to the same file."""

    def __init__(self, path: Path) -> None:
        """Append to ``path``, which is created if it does not exist."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def add_object(self, values: Mapping[str, Any]) -> None:
        """Write a line; OSError if it cannot be written, or not as a whole."""
        # In a single call, so that lines of processes do not mix.
        line = json.dumps(values, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        if os.write(self._handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


class Report(Lines):
    """A file that gets a line for each finished job; ``docs/batch.md`` describes its values."""

    def add(self, report: JobReport) -> None:
        """Write a line; OSError if it cannot be written, or not as a whole."""
        result = report.result
        values = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "status": report.status,
            "source": path_text(report.job.source),
            "target": path_text(report.job.target),
            "error": report.message or None,
            "notes": list(report.notes),
            "source_size": result and result.source_size,
            "target_size": result and result.target_size,
            "frames": result and result.frames,
            "models": result and result.models,
            "bytes": result and result.bytes,
            "segments": report.segments,
            "reused": report.reused,
            "seconds": round(report.seconds, 3),
            "work_seconds": result and round(result.seconds, 3),
            "checks": report.checks,
        }
        self.add_object(values)


def open_report[Kind: Lines](path: Path, kind: type[Kind]) -> Kind:
    """A report at ``path``; vs.Error if it cannot be written."""
    try:
        return kind(path)
    except OSError as reason:
        if not path.parent.is_dir():
            raise error(
                f"cannot make the folder {str(path.parent)!r}: {(reason.strerror or str(reason)).lower()}",
                "give another folder",
            ) from reason
        raise error(
            f"cannot write the report {str(path)!r}: {(reason.strerror or str(reason)).lower()}",
            "make the folder writable, or give another --out or --report",
        ) from reason
