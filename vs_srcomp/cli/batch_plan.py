"""``vs-srcomp batch --dry-run``: the plan of a batch."""

import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vs_srcomp.cli.reports import counted, explain, stderr

if TYPE_CHECKING:
    from rich.table import Table

    from vs_srcomp.batch.dry_run import Estimate
    from vs_srcomp.batch.pool import Pool
    from vs_srcomp.transcode import Job

# Characters in a line if the output is not a terminal.
_WIDTH_OF_FILES = 240

# Seconds between checks for cancellation.
_BETWEEN_LOOKS = 0.25


def print_plan(
    work: "Sequence[Job]", pool: "Pool", cancel: threading.Event, checks: Collection[str], *, restart: bool
) -> bool:
    """Print a table of what a batch with ``checks`` would do; False if something cannot be done. No file is written.

    The time is extrapolated from a few frames of each clip, which are encoded and discarded. The space is what the
    encoder usually needs.
    """
    import vapoursynth as vs
    from rich.table import Table

    from vs_srcomp.batch.checkpoint import Checkpoint, State
    from vs_srcomp.batch.disk_space import DiskSpace, free_bytes, size_text
    from vs_srcomp.batch.identity import identity_of
    from vs_srcomp.batch.pool import heard
    from vs_srcomp.named_files import check_replaceable

    table = Table(box=None, pad_edge=False)
    table.add_column("clip", overflow="fold")
    for column in ("state", "from", "to", "ratio", "frames", "segments", "models", "time", "space"):
        table.add_column(column, justify="left" if column == "models" else "right", no_wrap=True)
    disk_space = DiskSpace()
    seconds = 0.0
    needed = 0
    problems = []
    notes: list[tuple[Path, str]] = []
    general: set[str] = set()
    for job, found in _estimates(work, pool, cancel, notes):
        if isinstance(found, str):
            problems.append(f"{job.source}: {found}")
            continue
        with heard(general.add):
            checkpoint, identity = Checkpoint(job.target), identity_of(job)
        state = checkpoint.state(identity)
        try:
            check_replaceable(job.target, job.source)
            checkpoint.preview(identity, restart=restart, overwrite=job.overwrite, checks=checks)
        except vs.Error as failure:
            problems.append(f"{job.source}: {explain(failure)}")
        info = found.segments[0].info
        size = info.picture.width, info.picture.height
        frames = sum(segment.frames for segment in found.segments)
        space = disk_space.needed(job, found.segments)
        if state != State.FINISHED:
            seconds += frames * found.seconds
            needed += space
        table.add_row(
            str(job.source),
            state,
            *("{}x{}".format(*pair) for pair in (info.source_size, size)),
            f"{size[0] / info.source_size[0]:.3g}",
            str(frames),
            str(len(found.segments)),
            ", ".join(sorted(found.models)),
            time_text(frames * found.seconds),
            size_text(space),
        )
    console = stderr()
    if table.row_count:
        print_table(table)
    of_clips = [f"{source}: {message}" for source, message in dict.fromkeys(notes) if message not in general]
    for problem in [*of_clips, *problems]:
        console.print(problem, highlight=False, markup=False, soft_wrap=True)
    if cancel.is_set():
        return False
    free = size_text(free_bytes(Path(work[0].target.parent)))
    console.print(
        f"{counted(len(work), 'clip')}: about {time_text(seconds / pool.size)} and {size_text(needed)}; "
        f"{free} are free",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return not problems


def print_table(table: "Table") -> None:
    """Print ``table`` on standard error; in full width if that is not a terminal."""
    from rich.console import Console

    console = stderr()
    wide = console if console.is_terminal else Console(stderr=True, width=_WIDTH_OF_FILES)
    wide.print(table, highlight=False, markup=False)


def time_text(seconds: float) -> str:
    """A duration as text: ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _estimates(
    work: "Sequence[Job]", pool: "Pool", cancel: threading.Event, notes: list[tuple[Path, str]]
) -> "list[tuple[Job, Estimate | str]]":
    """The estimate of each job, or its error; what is logged of its source comes into ``notes``."""
    from vs_srcomp.batch.dry_run import DryRun
    from vs_srcomp.batch.pool import Failed, Finished, Logged

    pending = list(reversed(work))
    running: dict[int, Job] = {}
    found: dict[Path, Estimate | str] = {}
    while (pending or running) and not cancel.is_set():
        while pending and len(running) <= pool.size:
            job = pending.pop()
            running[pool.submit(DryRun(job))] = job
        for event in pool.wait(_BETWEEN_LOOKS):
            if isinstance(event, Logged):
                notes.append((running[event.ticket].source, event.message))
            elif isinstance(event, Finished):
                found[running.pop(event.ticket).target] = event.value
            elif isinstance(event, Failed):
                found[running.pop(event.ticket).target] = event.message
    return [(job, found[job.target]) for job in work if job.target in found]
