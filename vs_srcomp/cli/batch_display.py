"""Progress and summary of ``vs-srcomp batch``."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from vs_srcomp.cli.batch_plan import print_table
from vs_srcomp.cli.reports import counted, counting_bar, explain, print_line
from vs_srcomp.files import cannot_write

if TYPE_CHECKING:
    from rich.progress import TaskID

    from vs_srcomp.batch.job_report import JobReport
    from vs_srcomp.batch.report import Report
    from vs_srcomp.transcode import Job


class BatchDisplay:
    """Shows the progress of a batch: bars on a terminal, otherwise a line for each clip."""

    def __init__(self, clips: int, file: "Report") -> None:
        """Start with none of ``clips`` finished; the report of each also goes to ``file``."""
        self.progress = counting_bar("{task.fields[unit]}")
        self._file = file
        self._all = self.progress.add_task("all clips", total=clips, unit="clips")
        self._bars: dict[Path, TaskID] = {}
        self._reports: list[JobReport] = []
        self.is_report_whole = True
        """Whether every line of the report could be written."""

    def waiting(self, job: "Job") -> None:
        """See ``Watcher``."""
        print_line(f"{job.source}: another run works on it; waiting")

    def began(self, job: "Job") -> None:
        """See ``Watcher``."""
        self._bars[job.target] = self.progress.add_task(job.target.name, total=None, unit="")
        if self.progress.disable:
            print_line(f"{job.source}: begun")

    def advanced(self, job: "Job", done: int, total: int) -> None:
        """See ``Watcher``."""
        bar = self._bars[job.target]
        speed = self.progress.tasks[self.progress.task_ids.index(bar)].speed
        self.progress.update(bar, completed=done, total=total, unit=f"{speed:.1f} fps" if speed else "")

    def ended(self, report: "JobReport") -> None:
        """See ``Watcher``."""
        self._reports.append(report)
        try:
            self._file.add(report)
        except OSError as reason:  # the work goes on without it
            self.is_report_whole = False
            print_line(
                f"{report.job.source}: not in the report: {explain(cannot_write(self._file.path, reason.errno))}"
            )
        bar = self._bars.pop(report.job.target, None)
        if bar is not None:
            self.progress.remove_task(bar)
        self.progress.advance(self._all)
        for note in report.notes:
            print_line(f"{report.job.source}: {note}")
        print_line(_ending(report))

    def summarize(self, clips: int) -> None:
        """Print the table of all clips."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        table.add_column("clip", overflow="fold")
        for column in ("", "size", "frames", "fps", "MB"):
            table.add_column(column, justify="right", no_wrap=True)
        for report in self._reports:
            result = report.result
            size = frames = speed = megabytes = ""
            if result:
                size = "{}x{}".format(*result.target_size)
                frames, megabytes = str(result.frames), f"{result.bytes / 1e6:.2f}"
                speed = f"{result.frames / report.seconds:.1f}"
            table.add_row(str(report.job.target), report.status, size, frames, speed, megabytes)
        if self._reports:
            print_table(table)
        counts = Counter(report.status for report in self._reports)
        words = [
            f"{counts[status]} {status}" for status in ("done", "skipped", "failed", "cancelled") if counts[status]
        ]
        if untouched := clips - len(self._reports):
            words.append(f"{untouched} not begun")
        print_line(f"{counted(clips, 'clip')}: {', '.join(words)}")


def _ending(report: "JobReport") -> str:
    if report.status == "skipped":
        checked = f"; checked now: {', '.join(report.checks)}" if report.checks else ""
        return f"{report.job.source}: was finished before{checked}"
    if report.result is None or report.status != "done":
        return f"{report.job.source}: {report.status}: {report.message}"
    result = report.result
    sizes = " to ".join(f"{width}x{height}" for width, height in (result.source_size, result.target_size))
    again = f", {report.reused} of {counted(report.segments, 'segment')} from before" if report.reused else ""
    return f"{report.job.source}: {sizes}, {counted(result.frames, 'frame')} in {report.seconds:.1f} s{again}"
