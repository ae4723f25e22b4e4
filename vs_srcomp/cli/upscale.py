"""``vs-srcomp upscale``: one file."""

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from vs_srcomp.cli.arguments import ModelName, Quantizer, Time
from vs_srcomp.cli.reports import core_log_on_stderr, debug_option, stderr

if TYPE_CHECKING:
    from vs_srcomp.transcode import Job, Result


@click.command(short_help="Upscale a video file.")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--ratio", type=click.Choice(["2:1", "8:5", "4:3"]), help="How much larger to make it.  [default: 2:1]")
@click.option("--width", type=click.IntRange(min=1), help="Target width instead; the height follows unless given.")
@click.option("--height", type=click.IntRange(min=1), help="Target height instead; the width follows unless given.")
@click.option("--q", type=Quantizer(), default="auto", show_default=True, help="How strongly the input was compressed.")
@click.option("--model", type=ModelName(), default="fast", show_default=True, help="Which networks to use.")
@click.option(
    "--crf", type=click.IntRange(1, 63), default=26, show_default=True, help="Quality of the output: less is better."
)
@click.option(
    "--preset", type=click.IntRange(0, 13), default=8, show_default=True, help="Speed of SVT-AV1: more is faster."
)
@click.option("--svt-params", default="", metavar="K=V:K=V", help="More settings of SVT-AV1.")
@click.option("--start", type=Time(), help="Leave out what is before: seconds, or HH:MM:SS.mmm.")
@click.option("--end", type=Time(), help="Leave out what is from there on.")
@click.option(
    "--film-grain",
    type=click.Choice(["off", "apply", "restore"]),
    default="off",
    show_default=True,
    help="Of the input: leave it out, apply it before the network, or put it back after it.",
)
@click.option("--drop-incompatible", is_flag=True, help="Leave out streams that OUT's container cannot hold.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@debug_option
def upscale(
    source: Path,
    target: Path,
    ratio: str | None,
    width: int | None,
    height: int | None,
    q: float | Literal["auto"],
    model: str | Path,
    crf: int,
    preset: int,
    svt_params: str,
    start: Fraction | None,
    end: Fraction | None,
    film_grain: Literal["off", "apply", "restore"],
    drop_incompatible: bool,
    overwrite: bool,
) -> None:
    """Upscale the video of IN, encode it as AV1, and write it to OUT with everything else that IN holds.

    OUT becomes Matroska (.mkv), MP4 (.mp4) or WebM (.webm). Audio, subtitles, chapters, attachments, tags, colour and
    HDR metadata, and the time of every frame are kept. The output is 4:2:0: in 8 bits for 8-bit input, otherwise in 10.

    With --start, the output begins at 0 with the first frame that is shown at that time or later. Other streams are cut
    with it: whole packets stay or go, so that sound may begin a few milliseconds later, but never out of step.

    \b
    Examples:
      vs-srcomp upscale in.mkv out.mkv
      vs-srcomp upscale in.mp4 out.mp4 --ratio 4:3 --crf 22 --preset 5
      vs-srcomp upscale in.webm out.mkv --height 1080 --start 1:30 --end 2:00
    """
    if ratio and (width or height):
        raise click.UsageError("--ratio and --width or --height exclude each other.")
    if start is not None and end is not None and start >= end:
        raise click.UsageError("--end must be later than --start.")
    # SVT-AV1 writes pages about itself to standard error; what it refuses or cannot do is reported without them.
    os.environ.setdefault("SVT_LOG", "0")
    from vs_srcomp.transcode import Job

    job = Job(
        source=source,
        target=target,
        ratio=ratio,
        width=width,
        height=height,
        q=q,
        model=model,
        film_grain=film_grain,
        crf=crf,
        preset=preset,
        svt_params=svt_params,
        start=start,
        end=end,
        overwrite=overwrite,
        drop_incompatible=drop_incompatible,
    )
    with core_log_on_stderr():
        result = _run_with_progress(job)
    stderr().print(_summary(result), markup=False, highlight=False, soft_wrap=True)


def _run_with_progress(job: "Job") -> "Result":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from vs_srcomp.transcode import transcode

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} fps"),
        TimeRemainingColumn(),
    )
    console = stderr()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(job.target.name, total=None, fps=0.0)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, fps=bar.tasks[task].speed or 0.0)

        return transcode(job, progress=show)


def _summary(result: "Result") -> str:
    sizes = " to ".join(f"{width}x{height}" for width, height in (result.source_size, result.target_size))
    speed = f"{result.frames} frames in {result.seconds:.1f} s ({result.frames / result.seconds:.1f} fps)"
    models = ", ".join(f"{name} ({frames})" for name, frames in sorted(result.models.items()))
    return f"{result.target}: {sizes}, {speed}, {models}, {result.bytes / 1e6:.2f} MB"
