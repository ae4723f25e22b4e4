"""``vs-srcomp batch``: many files, in any number of attempts."""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import click

from vs_srcomp.cli.arguments import FileName, JobOptions, Number, job_options
from vs_srcomp.cli.batch_checks import check_backend, check_container, check_references, check_report, output_checks
from vs_srcomp.cli.batch_display import BatchDisplay
from vs_srcomp.cli.batch_plan import print_plan
from vs_srcomp.cli.cancelling import cancelling, end
from vs_srcomp.cli.ending import leave_at_once, patience
from vs_srcomp.cli.given import is_given
from vs_srcomp.cli.pipe import PipeOptions, pipe_options
from vs_srcomp.cli.reports import core_log_on_stderr, debug_option
from vs_srcomp.cli.stills import PICTURE_FORMATS, StillOptions, batch_pictures, check_for, still_options
from vs_srcomp.media.containers import CONTAINERS
from vs_srcomp.stills.formats import SUFFIXES_READ

if TYPE_CHECKING:
    from vs_srcomp.batch.pool import Check, Pool
    from vs_srcomp.transcode import Job

_REPORT = "srcomp-report.jsonl"


def _checked_suffix(context: click.Context, parameter: click.Parameter, suffix: str) -> str:
    if "/" in suffix:
        raise click.BadParameter(f"{suffix!r} has a slash; give the folder with --out")
    return suffix


@click.command(short_help="Upscale many videos or pictures.")
@click.argument("inputs", metavar="[IN]...", nargs=-1)
@click.option(
    "--out",
    "folder",
    metavar="DIR",
    required=True,
    type=FileName(written=True),
    help="Where to write.",
)
@click.option(
    "--list",
    "listing",
    metavar="FILE",
    type=click.File("r", encoding="utf-8-sig", errors="surrogateescape"),
    help="More inputs, one a line; - is standard input.",
)
@click.option("--recursive", is_flag=True, help="Look into the folders of folders, too.")
@click.option(
    "--container",
    type=click.Choice([*(kind.suffix[1:] for kind in CONTAINERS), *PICTURE_FORMATS]),
    default="mkv",
    show_default=True,
    help="What the outputs become; with a format of pictures, pictures are taken from folders, not videos.",
)
@click.option(
    "--suffix",
    default="",
    callback=_checked_suffix,
    metavar="TEXT",
    help="Comes at the end of the outputs' names: -2x makes in-2x.mkv.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Worker processes of this machine.  [default: 1]")
@click.option(
    "--cluster",
    metavar="[ADDRESS]",
    is_flag=False,
    flag_value="auto",
    help="Work on a Ray cluster instead: that of this machine, that with its head at HOST:PORT, or a new one: local.",
)
@click.option(
    "--storage",
    type=click.Choice(["shared", "copied"]),
    default="shared",
    show_default=True,
    help="Whether all nodes of a cluster see the same files, or get copies.",
)
@click.option("--gpus-per-task", type=Number(min=0), default=0.0, help="Graphics cards of a task on a cluster.")
@click.option("--verify", "verifies", is_flag=True, help="Compare each output with its source, stream by stream.")
@click.option(
    "--metrics",
    "references",
    metavar="PATH",
    type=FileName(),
    help="Measure PSNR, SSIM and VMAF against this file, or those of the same names in this folder; with --report, "
    "also write an HTML page of pictures beside each output.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and how long it would take.")
@click.option("--restart", is_flag=True, help="Redo what was made from other sources, settings or models.")
@click.option(
    "--report",
    "report_file",
    metavar="FILE",
    type=FileName(written=True),
    help="Gets a JSON line a clip.  [default: srcomp-report.jsonl in DIR]",
)
@click.option("--ignore-space", is_flag=True, help="Begin even if the disk seems too small.")
@click.option(
    "--segment-seconds",
    type=Number(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Length of the pieces that are done one by one.",
)
@job_options
@pipe_options
@still_options
@debug_option
def batch(
    inputs: tuple[str, ...],
    folder: Path,
    listing: IO[str] | None,
    recursive: bool,
    container: str,
    suffix: str,
    jobs: int | None,
    cluster: str | None,
    storage: Literal["shared", "copied"],
    gpus_per_task: float,
    verifies: bool,
    references: Path | None,
    dry_run: bool,
    restart: bool,
    report_file: Path | None,
    ignore_space: bool,
    segment_seconds: float,
    options: JobOptions,
    piping: PipeOptions,
    stills: StillOptions,
) -> None:
    """Upscale all videos IN, which are files, folders or patterns such as 'clips/*.mkv', into the folder DIR.

    With --container png, avif, jpg, webp or tif, IN are pictures.

    Each becomes what the command upscale makes of it. The work is done in pieces of about ten seconds. Whatever stops
    it, the same command goes on where it was; outputs that are finished are left as they are. What was made from other
    settings, sources or models is not touched without --restart. Notes on the work are in DIR/.srcomp.

    One bad file does not stop the others. The exit code is 0 only if every file is done; DIR/srcomp-report.jsonl has
    the result of each.

    \b
    Examples:
      vs-srcomp batch clips --out upscaled --dry-run
      vs-srcomp batch clips --recursive --out upscaled --jobs 4 --ratio 4:3
      vs-srcomp batch 'a/*.mp4' b.webm --out upscaled --container mp4 --suffix -hd --verify
      vs-srcomp batch clips --out upscaled --pipe 'SvtAv1EncApp -i stdin --preset 4 -b {out}.ivf'
      vs-srcomp batch photos --out upscaled --container png
    """
    from vs_srcomp.batch.inputs import VIDEO_SUFFIXES, gather, name_outputs, read_list
    from vs_srcomp.named_files import check_output, check_output_folder, file_named
    from vs_srcomp.source.media import local_file

    if jobs and cluster:
        raise click.UsageError("--jobs and --cluster exclude each other.")
    if cluster is None:
        _check_no_cluster()
    names = [file_named(name) for name in (*inputs, *(read_list(listing) if listing else []))]
    if not names:
        raise click.UsageError("Name at least one input, or give a --list.")
    pictures = container in PICTURE_FORMATS
    check_for(pictures=pictures)
    if not pictures:
        options.check_video()
    suffixes = SUFFIXES_READ if pictures else VIDEO_SUFFIXES
    with core_log_on_stderr():  # which folders cannot be read
        pairs = gather(names, recursive=recursive, exclude=folder, suffixes=suffixes)
    if not any(file.exists() for file, _ in pairs):
        # With others, what is missing is reported as the failure of a single clip.
        local_file(pairs[0][0])
    outputs = name_outputs(pairs, folder, suffix=suffix, container=container)
    work = []
    if not pictures:
        work = [piping.apply(options.job(file, target, segment_seconds=segment_seconds)) for file, target in outputs]
        check_container(work[0])
    check_output_folder(folder)
    if report_file and report_file.parent != folder:
        check_output(report_file)
    if report_file:
        check_report(report_file, outputs)
    if pictures:
        _batch_pictures(outputs, options, stills, jobs or 1, restart, dry_run, report_file or folder / _REPORT)
        return
    if references:
        check_references(work, references, folder, report_file)
    if options.backend and cluster is None:
        check_backend(options.backend)
    with patience(), cancelling() as stopped:
        pool = _pool(jobs or 1, cluster, storage, gpus_per_task)
        try:
            if dry_run:
                rejecting = ("verify",) if verifies else ()
                complete = print_plan(work, pool, stopped.event, rejecting, restart=restart)
            else:
                checks = output_checks(verifies, references, folder, shows=report_file is not None)
                report_file = report_file or folder / _REPORT
                complete = _run(
                    work, pool, checks, stopped.event, report_file, restart=restart, ignore_space=ignore_space
                )
        finally:
            pool.close()
    end(stopped, complete)


def _batch_pictures(
    outputs: Sequence[tuple[Path, Path]],
    options: JobOptions,
    stills: StillOptions,
    jobs: int,
    restart: bool,
    dry_run: bool,
    report_file: Path,
) -> None:
    def came(number: int, *, again: bool) -> None:
        # A picture at work is finished, which may take long: the next signal does not wait for it.
        if again:
            leave_at_once(number)
        # The main thread may hold the lock of the stream.
        with suppress(OSError):
            os.write(2, b"vs-srcomp: ends after the pictures at work; stop it again to end at once\n")

    with patience(), cancelling(came) as stopped:
        complete = batch_pictures(
            outputs,
            options,
            stills,
            stopped.event,
            jobs=jobs,
            restart=restart,
            dry_run=dry_run,
            report_file=report_file,
        )
    end(stopped, complete)


def _check_no_cluster() -> None:
    """Raise the usage error of options that are for a cluster alone."""
    for name, option in (("storage", "--storage"), ("gpus_per_task", "--gpus-per-task")):
        if is_given(name):
            raise click.UsageError(f"{option} is for a cluster: give --cluster, too.")


def _pool(jobs: int, cluster: str | None, storage: Literal["shared", "copied"], gpus_per_task: float) -> "Pool":
    if cluster is None:
        from vs_srcomp.batch.local_pool import LocalPool

        return LocalPool(jobs)
    from vs_srcomp.batch.ray.pool import ClusterConfig, ClusterPool

    return ClusterPool(ClusterConfig(address=cluster, storage=storage, gpus_per_task=gpus_per_task))


def _run(
    work: "Sequence[Job]",
    pool: "Pool",
    checks: "Sequence[Callable[[Job], Check]]",
    cancel: threading.Event,
    report_file: Path,
    *,
    restart: bool,
    ignore_space: bool,
) -> bool:
    """Do the work; False if a clip is not done, or not in the report."""
    from vs_srcomp.batch.report import Report, open_report
    from vs_srcomp.batch.run import run_batch

    report = open_report(report_file, Report)
    display = BatchDisplay(len(work), report)
    try:
        # Workers send theirs; those of this process are about the machine.
        with core_log_on_stderr(), display.progress:
            counts = run_batch(
                work, pool, display, restart=restart, ignore_space=ignore_space, checks=checks, cancel=cancel
            )
    finally:
        report.close()
    display.summarize(len(work))
    return counts["done"] + counts["skipped"] == len(work) and display.is_report_whole
