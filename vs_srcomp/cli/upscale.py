"""``vs-srcomp upscale``: one file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vs_srcomp.cli.arguments import FileName, JobOptions, job_options
from vs_srcomp.cli.pipe import PipeOptions, pipe_options
from vs_srcomp.cli.reports import core_log_on_stderr, counted, counting_bar, debug_option, print_line
from vs_srcomp.cli.stills import StillOptions, check_for, still_options, upscale_pictures
from vs_srcomp.media.containers import CONTAINERS
from vs_srcomp.stills.formats import is_pattern, is_picture

if TYPE_CHECKING:
    from vs_srcomp.transcode import Job, Result


@click.command(short_help="Upscale a video file, or a picture.")
@click.argument("source", metavar="IN", type=FileName())
@click.argument("target", metavar="OUT", type=FileName(written=True))
@job_options
@pipe_options
@still_options
@debug_option
def upscale(source: Path, target: Path, options: JobOptions, piping: PipeOptions, stills: StillOptions) -> None:
    """Upscale the video or the picture IN, and write it to OUT.

    A video is encoded and written with all other streams of IN. OUT is Matroska (.mkv), MP4 (.mp4) or WebM (.webm).
    Audio, subtitles, chapters, attachments, tags, colour and HDR metadata, and the times of all frames are kept. AV1 is
    4:2:0, in 8 bits for 8-bit input, otherwise in 10.

    With --start, the output begins at 0 with the first frame at or after that time. Other streams are cut between
    packets, so that audio may begin a few milliseconds later, but stays in sync.

    A picture (AVIF, JPEG, PNG, WebP, TIFF, JPEG XL, GIF or BMP) becomes .png, .tif, .avif, .jpg or .webp, with its
    profile, EXIF, XMP and alpha. %05d in OUT stands for the numbers of several pictures, which may come from a video or
    an animation, too.

    \b
    Examples:
      vs-srcomp upscale in.mkv out.mkv
      vs-srcomp upscale in.mp4 out.mp4 --ratio 4:3 --crf 22 --preset 5
      vs-srcomp upscale in.webm out.mkv --height 1080 --start 1:30 --end 2:00
      vs-srcomp upscale in.mkv out.mkv --pipe 'x265 --y4m --input - --output {out}.hevc --crf 20'
      vs-srcomp upscale photo.avif photo.png
      vs-srcomp upscale frames/%05d.png large/%05d.png
      vs-srcomp upscale in.mkv large/%05d.png --start 1:30 --end 1:32
    """
    names_container = target.suffix.lower() in {kind.suffix for kind in CONTAINERS}
    if is_picture(target) or is_pattern(source) or (is_picture(source) and not names_container):
        upscale_pictures(source, target, options, stills)
        return
    check_for(pictures=False)
    options.check_video()
    job = piping.apply(options.job(source, target))
    with core_log_on_stderr():
        result = _run_with_progress(job)
    print_line(_summary(result))


def _run_with_progress(job: "Job") -> "Result":
    from vs_srcomp.transcode import transcode

    with counting_bar("{task.fields[fps]:.1f} fps") as bar:
        task = bar.add_task(job.target.name, total=None, fps=0.0)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, fps=bar.tasks[task].speed or 0.0)

        return transcode(job, progress=show)


def _summary(result: "Result") -> str:
    sizes = " to ".join(f"{width}x{height}" for width, height in (result.source_size, result.target_size))
    speed = f"{counted(result.frames, 'frame')} in {result.seconds:.1f} s ({result.frames / result.seconds:.1f} fps)"
    models = ", ".join(f"{name} ({frames})" for name, frames in sorted(result.models.items()))
    return f"{result.target}: {sizes}, {speed}, {models}, {result.bytes / 1e6:.2f} MB"
