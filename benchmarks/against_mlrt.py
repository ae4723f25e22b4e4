"""Speed of the same network here and in vs-mlrt's OpenVINO plugin, by thread configuration.

    pip install vapoursynth-mlrt-ov
    python benchmarks/against_mlrt.py [--bits 8] [--seconds 3] [--rounds 5] [--plugin libvsov.so]

A precision such as int8/bf16 is ours and theirs: vs-mlrt does not run the 8-bit form, which is made when a network is
loaded. In a run per configuration, the bare network, our graph and theirs take turns on the same frames and cores. The
result is the last column: our rate over theirs, round by round.
"""

from itertools import product
from pathlib import Path
from statistics import median

import click

from vs_srcomp.bench import Settings, bench
from vs_srcomp.processor import core_count

PEER = Path(__file__).parent / "peers" / "mlrt_ov.vpy"


def compare(settings: Settings, precision: str, streams: int, threads: int, plugin: str | None) -> str:
    """One row of the table."""
    ours, _, theirs = precision.partition("/")
    if "int8" in (theirs or ours):
        raise click.BadParameter(f"{precision!r}: vs-mlrt does not run the 8-bit form; give int8/f32 or int8/bf16")
    counts = f"streams={streams},threads={threads}"
    peer = f"{PEER}:precision={theirs or ours},{counts}" + (f",plugin={plugin}" if plugin else "")
    own = f"openvino:precision={ours},{counts}"
    values = vars(settings) | {"backend": own, "peers": (peer,), "only": ("inference", "graph")}
    raw, graph, other = bench(Settings(**values)).stages
    ratios = [a.fps / b.fps for a, b in zip(graph.rounds, other.rounds, strict=True)]
    numbers = f"{raw.fps:.2f} | {graph.fps:.2f} | {other.fps:.2f} | {graph.cpu_ms:.0f} | {other.cpu_ms:.0f}"
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    return f"| {precision} | {streams} | {threads} | {numbers} | {median(ratios):.3f} ({spread}) |"


@click.command()
@click.option("--size", default="960x540", show_default=True, help="Clip size before upscaling.")
@click.option("--bits", type=click.Choice(["8", "10"]), default="8", show_default=True)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    default=["f32", "bf16", "int8/bf16"],
    show_default=True,
    help="f32 or bf16 for both, or OURS/THEIRS, as in int8/bf16; may be repeated.",
)
@click.option("--seconds", default=3.0, show_default=True, help="Per measurement.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--plugin", help="Path of vs-mlrt's plugin, if VapourSynth does not find it.")
def main(size: str, bits: str, precisions: tuple[str, ...], seconds: float, rounds: int, plugin: str | None) -> None:
    """Print a table."""
    width, height = map(int, size.split("x"))
    settings = Settings(size=(width, height), bits=int(bits), q=40, seconds=seconds, rounds=rounds)
    cores = core_count()
    click.echo(
        "| precision | streams | threads | bare | ours | vs-mlrt | ours, CPU ms | vs-mlrt, CPU ms | ours / theirs |"
    )
    click.echo("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for precision, streams, threads in product(precisions, sorted({1, 2, cores}), sorted({1, cores})):
        if streams <= threads:
            click.echo(compare(settings, precision, streams, threads, plugin))


if __name__ == "__main__":
    main()
