"""Speed of `vs_srcomp.source`, compared with a bare PyAV loop that decodes the same file and drops the frames.

A third loop copies each frame once into VapourSynth's memory, which every source must do.

    python benchmarks/source_throughput.py FILE... [--seconds 2] [--rounds 7]

They run in turns, so that other load affects all; opening the file and the first frame are not counted. The ratio of
the rates is what a user sees. The ratio of processor time shows the cost when all cores are busy.
"""

from pathlib import Path
from statistics import median

import click

from vs_srcomp.bench import Settings, bench


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seconds", default=2.0, show_default=True, help="Per measurement.")
@click.option("--rounds", default=7, show_default=True)
def main(files: tuple[Path, ...], seconds: float, rounds: int) -> None:
    """Measure and print."""
    click.echo("| file | size | PyAV fps | one copy | source | processor time | peak MB, PyAV | peak MB, source |")
    click.echo("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for file in files:
        report = bench(Settings(clip=file, only=("decode", "copy", "source"), seconds=seconds, rounds=rounds))
        bare, copied, ours = report.stages
        cpu = [a.cpu / a.frames / (b.cpu / b.frames) for a, b in zip(bare.rounds, ours.rounds, strict=True)]
        size = f"{report.clip['width']}x{report.clip['height']} {report.clip['codec']} {report.clip['bits']} bit"
        rates = f"{bare.fps:.0f} | {copied.share or 0:.3f} | {ours.share or 0:.3f} | {median(cpu):.3f}"
        click.echo(f"| {file.name} | {size} | {rates} | {bare.peak_mb:.0f} | {ours.peak_mb:.0f} |")


if __name__ == "__main__":
    main()
