"""``vs-srcomp bench``: the speed of each stage on this machine."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vs_srcomp.cli.arguments import BackendName, FileName, ModelName, Number, Quantizer, check_model
from vs_srcomp.cli.reports import counted, debug_option, progress_bar, stderr
from vs_srcomp.processor import IDLE_LOAD

if TYPE_CHECKING:
    from vs_srcomp.bench import Report, Settings, StageReport

# Characters in a line if the output is not a terminal.
_PLAIN_WIDTH = 120


class _BackendText(BackendName):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        super().convert(value, param, ctx)
        return value  # the measuring processes make their own


class _Size(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        width, _, height = str(value).partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            self.fail(f"{value!r} is not a size: give width and height, such as 960x540", param, ctx)
        return int(width), int(height)


@click.command(short_help="Measure the speed of each stage on this machine.")
@click.argument("clip", metavar="[CLIP]", required=False, type=FileName())
@click.option("--size", type=_Size(), help="Size of the synthetic clip.  [default: 960x540]")
@click.option("--bits", type=click.Choice(["8", "10"]), help="Bit depth of the synthetic clip.  [default: 8]")
@click.option("--ratio", type=click.Choice(["2:1", "8:5", "4:3"]), default="2:1", show_default=True)
@click.option(
    "--model",
    type=ModelName(),
    default="fast",
    show_default=True,
    help="Network to use: light, fast, quality, another model's name, or an ONNX file.",
)
@click.option("--q", type=Quantizer(), default="auto", show_default=True, help="How strongly the clip was compressed.")
@click.option(
    "--backend",
    type=_BackendText(),
    default="auto",
    show_default=True,
    help="Library that runs the network, with settings, such as openvino:precision=f32,streams=2.",
)
@click.option(
    "--vs",
    "peers",
    multiple=True,
    metavar="PEER.vpy[:k=v,...]",
    help="Script of another filter to measure, too; can be repeated. See benchmarks/peers.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="STAGE",
    help="Measure only this stage, by its name in the JSON, or copy: decoding and one copy; can be repeated.",
)
@click.option(
    "--seconds",
    type=Number(min=0.001),
    default=2.0,
    show_default=True,
    help="Duration of one measurement.",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Rounds; each measures every stage once."
)
@click.option("--no-reuse", is_flag=True, help="Do not measure CLIP with reuse.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--json", "json_file", type=FileName(written=True), metavar="OUT.json")
@click.option("--plot", type=FileName(written=True), metavar="OUT.png", help="Draw a bar chart.")
@debug_option
def bench(
    clip: Path | None,
    size: tuple[int, int] | None,
    bits: str | None,
    no_reuse: bool,
    markdown: bool,
    json_file: Path | None,
    plot: Path | None,
    **how: Any,
) -> None:
    """Measure the speed of each stage: decoding, resizing, the network, the whole graph, and encoding.

    The stages take turns in several rounds, because the speed of a machine varies: trust the shares of the limit, which
    are computed round by round. The table has medians; the spread is the range from the slowest to the fastest round.
    With a CLIP, the graph is also run on its first frames in order, with and without reuse; "reused" is the share of
    the luma that was copied from memory. Without CLIP, a synthetic scene of noise and moving edges is compressed as
    AV1.

    \b
    Examples:
      vs-srcomp bench
      vs-srcomp bench in.mkv --ratio 4:3 --plot out.png
      vs-srcomp bench --size 1920x1080 --bits 10 --backend openvino:precision=f32 --json out.json
      vs-srcomp bench --vs benchmarks/peers/mlrt_ov.vpy:precision=bf16
    """
    if clip and (size or bits):
        raise click.UsageError("--size and --bits are for the synthetic clip: leave out CLIP or these.")
    if no_reuse and not clip:
        raise click.UsageError("--no-reuse is for a CLIP, and the synthetic one is not measured with reuse.")
    from vs_srcomp.bench import Settings
    from vs_srcomp.bench.plot import draw_bars
    from vs_srcomp.files import write_atomically
    from vs_srcomp.named_files import check_output, check_replaceable
    from vs_srcomp.plots import check_plot
    from vs_srcomp.source.media import local_file

    outputs = [output for output in (json_file, plot) if output]
    for output in outputs:
        check_output(output)
        if clip:
            check_replaceable(output, clip)
    if len({output.resolve() for output in outputs}) < len(outputs):
        raise click.UsageError("--json and --plot are the same file: give one of them another name.")
    check_model(how["model"], "faithful", how["ratio"])
    if plot:
        check_plot(plot)
    if clip:
        local_file(clip)
    how["model"] = str(how["model"])
    settings = Settings(clip=clip, size=size or (960, 540), bits=int(bits or 8), reuse=not no_reuse, **how)
    report = _measured(settings)
    if json_file:
        write_atomically(json_file, (json.dumps(asdict(report), indent=2) + "\n").encode())
    _print(report, markdown=markdown)
    if plot:
        draw_bars(report, plot)


def _measured(settings: "Settings") -> "Report":
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    from vs_srcomp.bench import bench as measure

    load = os.getloadavg()[0]
    if load > IDLE_LOAD:
        stderr().print(
            f"other programs are at work (load {load:.1f}): trust the shares, not the rates",
            markup=False,
            soft_wrap=True,
        )
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with progress_bar(*columns) as bar:
        task = bar.add_task("starting", total=None)
        return measure(settings, progress=lambda what: bar.update(task, description=what))


def _print(report: "Report", *, markdown: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if markdown or not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_PLAIN_WIDTH)
    console.print(_heading(report), soft_wrap=True)
    console.print()
    table = Table(box=box.MARKDOWN if markdown else None, header_style="bold", pad_edge=markdown)
    table.add_column("", no_wrap=True)
    with_reuse = any(stage.reused is not None for stage in report.stages)
    columns = ["fps", "ms/frame", "spread", "share of limit", "CPU ms/frame", "peak MB", *["reused"] * with_reuse]
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for stage in report.stages:
        table.add_row(stage.title, *_numbers(stage)[: len(columns)])
    console.print(table)


def _heading(report: "Report") -> str:
    from vs_srcomp.backends.openvino.types import share_text

    clip, settings, machine = report.clip, report.settings, report.machine
    name = Path(clip["file"]).name if clip["file"] else "synthetic scene"
    types = share_text(settings.get("types", {}))
    return (
        f"{name}, {clip['codec']}, {clip['bits']} bit, {clip['width']}x{clip['height']} to "
        f"{settings['width']}x{settings['height']}; {settings['model']} at Q {settings['q']:.0f}, "
        f"backend {settings['backend']}\n"
        f"{machine['processor']}, {machine['cores']} cores; "
        f"{counted(settings['rounds'], 'round')} of {settings['seconds']:g} s each"
        + (f"; multiply-accumulates: {types}" if types else "")
    )


def _numbers(stage: "StageReport") -> list[str]:
    share = "" if stage.share is None or stage.limit is None else f"{stage.share:.1%} of {_short(stage.limit)}"
    return [
        f"{stage.fps:.1f}",
        f"{stage.ms:.2f}",
        f"{stage.spread:.0%}",
        share,
        f"{stage.cpu_ms:.1f}",
        f"{stage.peak_mb:.0f}",
        "" if stage.reused is None else f"{stage.reused:.0%}",
    ]


def _short(limit: str) -> str:
    return {"decode": "PyAV", "inference": "raw", "no-reuse": "without"}.get(limit, limit)
