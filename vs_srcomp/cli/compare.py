"""``vs-srcomp compare``: results side by side in one HTML file."""

import shlex
import sys
from pathlib import Path
from typing import Any, Literal

import click

from vs_srcomp.cli.arguments import FileName, ModelName, Quantizer, check_model, look_option
from vs_srcomp.cli.given import is_given
from vs_srcomp.cli.reports import core_log_on_stderr, counted, debug_option, print_line, progress_bar

_METRICS = ("vmaf-neg", "vmaf", "psnr", "ssim", "ssimulacra2")


class _Several(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """Comma-separated values of one type."""

    def __init__(self, kind: click.ParamType, name: str) -> None:  # type: ignore[type-arg]
        self._kind = kind
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """Each of them converted."""
        if isinstance(value, tuple):
            return value
        parts = [part for part in (part.strip() for part in str(value).split(",")) if part]
        if not parts:
            self.fail("it names nothing", param, ctx)
        if twice := next((part for part in parts if parts.count(part) > 1), None):
            self.fail(f"{twice!r} is there twice", param, ctx)
        return tuple(self._kind.convert(part, param, ctx) for part in parts)


@click.command(short_help="Compare results side by side in an HTML file.")
@click.argument("files", metavar="IN...", nargs=-1, required=True, type=FileName())
@click.option(
    "-o",
    "--out",
    "target",
    metavar="FILE",
    type=FileName(written=True),
    default=Path("compare.html"),
    show_default=True,
    help="The report, an HTML file.",
)
@click.option(
    "--reference",
    metavar="FILE",
    type=FileName(),
    help="The original in full size, for scores.",
)
@click.option(
    "--models",
    type=_Several(ModelName(), "name,..."),
    help="Compare the results of these networks and Lanczos-5 for one file: light, fast, quality, names, ONNX files.",
)
@click.option(
    "--ratio", type=click.Choice(["2:1", "8:5", "4:3"]), default="2:1", show_default=True, help="With --models."
)
@click.option("--q", type=Quantizer(), default="auto", show_default=True, help="With --models: the compression level.")
@look_option
@click.option(
    "--metrics",
    type=_Several(click.Choice(_METRICS), "name,..."),
    help=f"Some of {', '.join(_METRICS)}.  [default: all that are installed]",
)
@click.option(
    "--frames", type=click.IntRange(1, 60), default=12, show_default=True, help="Number of frames with pictures."
)
@click.option(
    "--picture",
    metavar="FILE",
    type=FileName(written=True),
    help="Also write the crops of one frame side by side, as a picture for documents.",
)
@click.option("--title", default="", help="Title of the report.  [default: the names]")
@click.option("--overwrite", is_flag=True, help="Replace existing outputs.")
@debug_option
def compare(
    files: tuple[Path, ...],
    target: Path,
    reference: Path | None,
    models: tuple[str | Path, ...] | None,
    ratio: str,
    q: float | Literal["auto"],
    look: str,
    metrics: tuple[str, ...] | None,
    frames: int,
    picture: Path | None,
    title: str,
    overwrite: bool,
) -> None:
    """Compare the files IN frame by frame, or the results of networks for one file, in one HTML file.

    The page works without a network: a slider between any two, flipping with the keys 1 to 9 and space, the difference,
    zoom, pixel values, and graphs over time. It has lossless crops of a few frames: the worst, the median and the best,
    first frames of scenes, and those that differ most; without a reference, those with the most detail.

    \b
    Examples:
      vs-srcomp compare lanczos.mkv ours.mkv other.mkv --reference original.mkv -o report.html
      vs-srcomp compare in.mkv --models light,fast,quality --ratio 2:1
      vs-srcomp compare a.mkv b.mkv --frames 6 -o by-eye.html
    """
    _check(files, reference, models)
    for model in models or ():
        check_model(model, look, ratio)
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from vs_srcomp.compare import Options, candidate_from_file, made_candidates, write_report
    from vs_srcomp.compare.inputs import distinct_names
    from vs_srcomp.compare.report import check_number, check_picture, check_target
    from vs_srcomp.named_files import check_replaceable
    from vs_srcomp.processor import core_count

    with core_log_on_stderr():
        check_number(len(models) + 1 if models is not None else len(files), reference is not None)
        check_target(target, overwrite=overwrite)
        if picture:
            check_picture(picture, overwrite=overwrite)
        for written in (target, picture):
            for read in (*files, *((reference,) if reference else ())):
                if written:
                    check_replaceable(written, read)
        if models is not None:
            candidates = made_candidates(files[0], models, ratio=ratio, q=q, look=look)
        else:
            candidates = [candidate_from_file(*pair) for pair in zip(files, distinct_names(files), strict=True)]
        original = candidate_from_file(reference) if reference else None
        options = Options(
            frames=frames,
            metrics=metrics,
            threads=max(1, core_count() // len(candidates)),
            title=title or " · ".join(side.name for side in candidates),
            command=shlex.join(["vs-srcomp", *sys.argv[1:]]),
            picture=picture,
            overwrite=overwrite,
        )
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with progress_bar(*columns) as bar:
            task = bar.add_task("opening", total=None)

            def show(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=total)

            write_report(candidates, original, target, options, show)
        length = candidates[0].clip.num_frames
        print_line(
            f"{target}: {counted(len(candidates), 'candidate')}, {counted(length, 'frame')}, "
            f"{target.stat().st_size / 1e6:.2f} MB"
        )


def _check(files: tuple[Path, ...], reference: Path | None, models: tuple[str | Path, ...] | None) -> None:
    if models is not None and len(files) > 1:
        raise click.UsageError("--models compares what is made of one file: name one, or leave --models out.")
    for name in ("ratio", "q", "look"):
        if models is None and is_given(name):
            raise click.UsageError(f"--{name} goes with --models.")
    if reference is None and is_given("metrics"):
        raise click.UsageError("--metrics goes with --reference: without one there is nothing to measure against.")
