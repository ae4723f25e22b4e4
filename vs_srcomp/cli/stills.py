"""Pictures in ``vs-srcomp upscale`` and ``vs-srcomp batch``."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from vs_srcomp.cli.arguments import JobOptions, in_one_argument
from vs_srcomp.cli.ending import can_go_on, leave_at_end
from vs_srcomp.cli.given import is_given
from vs_srcomp.cli.reports import core_log_on_stderr, counted, explain, print_line, progress_bar
from vs_srcomp.stills.formats import is_pattern, is_picture, kind_of

if TYPE_CHECKING:
    from vs_srcomp.batch.pictures import Resumable
    from vs_srcomp.stills.formats import PictureKind
    from vs_srcomp.stills.job import PictureJob, PictureResult

PICTURE_FORMATS = ("png", "avif", "jpg", "webp", "tif")
"""Of a batch's outputs, beside the containers of videos."""

# Beside those of encoders.
_FOR_VIDEOS = (
    *("film_grain", "deinterlace"),
    *("drop_incompatible", "pipe", "pipe_format", "cluster", "storage", "gpus_per_task", "ignore_space"),
    *("verifies", "references", "segment_seconds"),
)
_OF_SECTIONS = ("start", "end")
_FOR_PICTURES = ("depth", "quality", "lossless")


@dataclass(frozen=True, kw_only=True)
class StillOptions:
    """What the options of `still_options` ask for."""

    depth: str | None
    quality: int
    lossless: bool

    def check(self) -> None:
        """There is nothing to check without an output."""

    def job(self, source: Path, target: Path, options: JobOptions) -> "PictureJob":
        """The job for one picture, or for numbered ones."""
        from vs_srcomp.stills.job import PictureJob

        return PictureJob(
            source=source,
            target=target,
            **options.arguments(),
            depth=cast("Literal[8, 10, 12, 16] | None", self.depth and int(self.depth)),
            quality=self.quality,
            lossless=self.lossless,
            start=options.start,
            end=options.end,
            overwrite=options.overwrite,
        )


def still_options[F: Callable[..., Any]](command: F) -> F:
    """The options of pictures. The command gets them as one argument, ``stills``."""
    return in_one_argument("stills", StillOptions, _OPTIONS)(command)


def check_for(*, pictures: bool, of_video: bool = False) -> None:
    """Raise the usage error of options that are for the other kind of output.

    Pictures ``of_video`` may be those of a section.
    """
    from vs_srcomp.transcode.job import OF_ENCODERS

    wrong = (*OF_ENCODERS, *(() if of_video else _OF_SECTIONS), *_FOR_VIDEOS) if pictures else _FOR_PICTURES
    for parameter in click.get_current_context().command.params:
        if parameter.name in wrong and is_given(parameter.name):
            own, other = ("a picture", "videos") if pictures else ("a video", "pictures")
            raise click.UsageError(f"{parameter.opts[0]} is for {other}, and the output is {own}.")


def _check_quality(kind: "PictureKind", stills: StillOptions) -> None:
    """Raise the usage error of a quality that changes nothing."""
    if not is_given("quality"):
        return
    if kind.lossless == "always":
        raise click.UsageError(f"--quality is for .jpg, .avif and .webp: {kind.suffix} is written without loss.")
    if stills.lossless:
        raise click.UsageError("--quality and --lossless exclude each other.")


def upscale_pictures(source: Path, target: Path, options: JobOptions, stills: StillOptions) -> None:
    """What ``vs-srcomp upscale`` does where the output is a picture."""
    check_for(pictures=True, of_video=is_pattern(target) and not (is_picture(source) or is_pattern(source)))
    if is_picture(target):
        _check_quality(kind_of(target), stills)
    job = stills.job(source, target, options)
    with core_log_on_stderr(), _looking_for_backend(job):
        from vs_srcomp.stills.run import upscale_picture

        if is_pattern(source) or is_pattern(target):
            _sequence(job)
            return
        result = upscale_picture(job)
    for note in result.notes:
        print_line(f"{source}: {note}")
    print_line(f"{target}: {summary(result)}")
    leave_at_end()


@contextmanager
def _looking_for_backend(job: "PictureJob") -> Iterator[None]:
    """In this block, and beside it, the default backend is found and tried, which takes as long as a small picture."""

    def look() -> None:
        from vs_srcomp.backends.choice import default_backend

        with suppress(vs.Error):  # which the picture will meet, too
            default_backend()

    import vapoursynth as vs

    looking = threading.Thread(target=look)
    if job.backend is None:
        looking.start()
    try:
        yield
    finally:
        if job.backend is None:
            looking.join()


def summary(result: "PictureResult") -> str:
    """What has been done with a picture, in a line."""
    sizes = " to ".join(f"{width}x{height}" for width, height in (result.source_size, result.target_size))
    return f"{sizes}, {result.bits} bits, {result.seconds:.1f} s, {result.model}, {result.bytes / 1e6:.2f} MB"


def _sequence(job: "PictureJob") -> None:
    from vs_srcomp.batch.sequence import upscale_sequence

    can_go_on()
    with progress_bar() as bar:
        task = bar.add_task(job.target.name, total=None)
        result = upscale_sequence(job, progress=lambda done, total: bar.update(task, completed=done, total=total))
    for note in result.notes:
        print_line(f"{job.source}: {note}")
    pictures = counted(result.count - result.skipped, "picture")
    if result.skipped:
        print_line(f"{job.target}: {counted(result.skipped, 'picture')} finished before")
    if result.source_size and result.target_size:
        sizes = " to ".join(f"{width}x{height}" for width, height in (result.source_size, result.target_size))
        models = ", ".join(f"{name} ({count})" for name, count in sorted(result.models.items()))
        print_line(
            f"{job.target}: {sizes}, {pictures} in {result.seconds:.1f} s, {models}, {result.bytes / 1e6:.2f} MB"
        )


def batch_pictures(
    outputs: Sequence[tuple[Path, Path]],
    options: JobOptions,
    stills: StillOptions,
    cancel: threading.Event,
    *,
    jobs: int,
    restart: bool,
    dry_run: bool,
    report_file: Path,
) -> bool:
    """What ``vs-srcomp batch`` does where the outputs are pictures; False if one could not be done.

    Args:
        outputs: Of each picture the path, and that of its output.
        options: What is asked for.
        stills: What is asked for of pictures.
        cancel: Begin no more pictures once it is set.
        jobs: How many pictures at the same time.
        restart: Redo what was made from other sources, settings or models.
        dry_run: Only show what would be done.
        report_file: Gets a JSON line a picture.
    """
    from vs_srcomp.batch.pictures import Resumable
    from vs_srcomp.batch.report import Lines, open_report
    from vs_srcomp.files import cannot_write, path_text
    from vs_srcomp.stills.fitting import check_options

    work = [stills.job(source, target, options) for source, target in outputs]
    kind = kind_of(work[0].target)
    _check_quality(kind, stills)
    check_options(kind, work[0])
    resumable = Resumable(work[0], restart=restart, redo="--restart")
    if dry_run:
        with core_log_on_stderr():
            return _print_plan(work, resumable, cancel)
    with closing(open_report(report_file, Lines)) as report, core_log_on_stderr(), ThreadPoolExecutor(jobs) as pool:
        missing: list[PictureJob] = []

        def do(job: "PictureJob") -> str:
            line = {"status": "cancelled", "error": None} if cancel.is_set() else _one(job, resumable)
            paths = {"source": path_text(job.source), "target": path_text(job.target)}
            entry = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **paths, **line}
            try:
                report.add_object(entry)
            except OSError as reason:  # the work goes on without it
                missing.append(job)
                print_line(f"{job.source}: not in the report: {explain(cannot_write(report_file, reason.errno))}")
            return str(line["status"])

        statuses = list(pool.map(do, work))
    counts = [f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses)]
    print_line(f"{counted(len(work), 'picture')}: {', '.join(counts)}")
    return set(statuses) <= {"done", "skipped"} and not missing


def _print_plan(work: "Sequence[PictureJob]", resumable: "Resumable", cancel: threading.Event) -> bool:
    """Print what is to be done with each picture, a line each; False if something cannot be done."""
    from vs_srcomp.stills.reading import read_picture
    from vs_srcomp.stills.run import plan_picture

    problems = 0
    for job in work:
        if cancel.is_set():
            return False
        try:
            plan = plan_picture(read_picture(job.source), job)
            state = "finished before" if resumable.is_finished(job) else "to be done"
        except Exception as failure:
            problems += 1
            print_line(f"{job.source}: {explain(failure)}")
            continue
        sizes = " to ".join(f"{width}x{height}" for width, height in (plan.source_size, plan.target_size))
        print_line(f"{job.source}: {state}, {sizes}, {plan.fitted.bits} bits, {job.target}")
    print_line(
        f"{counted(len(work), 'picture')}{f', {problems} of them failed' if problems else ''}; nothing is written"
    )
    return not problems


def _one(job: "PictureJob", resumable: "Resumable") -> dict[str, Any]:
    """Do one picture of a batch, whatever happens."""
    from vs_srcomp.stills.reading import read_picture

    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        result = resumable.upscale(job, lambda: read_picture(job.source))
    except Exception as failure:
        message = explain(failure)
        print_line(f"{job.source}: failed: {message}")
        return {"status": "failed", "error": message}
    if result is None:
        print_line(f"{job.source}: was finished before")
        return {"status": "skipped", "error": None}
    for note in result.notes:
        print_line(f"{job.source}: {note}")
    print_line(f"{job.source}: {summary(result)}")
    return {
        "status": "done",
        "error": None,
        "notes": list(result.notes),
        "source_size": result.source_size,
        "target_size": result.target_size,
        "models": {result.model: 1},
        "q": result.q,
        "bytes": result.bytes,
        "seconds": round(result.seconds, 3),
    }


_OPTIONS = (
    click.option(
        "--depth",
        type=click.Choice(["8", "10", "12", "16"]),
        help="Bits of a sample: 8 or 16 in .png and .tif, 8, 10 or 12 in .avif.  [default: as the input]",
    ),
    click.option(
        "--quality",
        type=click.IntRange(1, 100),
        default=90,
        show_default=True,
        help="Quality of lossy pictures: .jpg, .avif, .webp.",
    ),
    click.option("--lossless", is_flag=True, help="Write .webp or .avif without loss; .png and .tif are always so."),
)
