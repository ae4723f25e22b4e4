"""Speed of the whole graph by number of threads of the core and of the backend.

    python benchmarks/threads.py [--size 960x540] [--seconds 2] [--rounds 5]

All settings are measured in turns. The first row has the defaults, with which the others are compared.
"""

from dataclasses import replace
from itertools import product
from statistics import median

import click

from vs_srcomp.bench import Settings
from vs_srcomp.bench.run import measure, stages_for
from vs_srcomp.processor import core_count


@click.command()
@click.option("--size", default="960x540", show_default=True, help="Clip size before upscaling.")
@click.option("--seconds", default=2.0, show_default=True, help="Per measurement.")
@click.option("--rounds", default=5, show_default=True)
def main(size: str, seconds: float, rounds: int) -> None:
    """Print a table."""
    width, height = map(int, size.split("x"))
    cores = core_count()
    settings = Settings(size=(width, height), q=40, backend="openvino", only=("graph",))
    with stages_for(settings) as (_, (default,)):
        stages = [default]
        for core, streams, threads in product((1, cores, 2 * cores), (1, cores), (cores, 2 * cores)):
            stages.append(replace(default, backend=f"openvino:streams={streams},threads={threads}", threads=core))
        measured = measure(stages, seconds, rounds, lambda what: click.echo(what, err=True))
    _, base = measured[0]
    click.echo("| core threads | backend | fps | CPU ms/frame | of the defaults' rate |")
    click.echo("| ---: | --- | ---: | ---: | ---: |")
    for stage, results in measured:
        share = median(own.fps / other.fps for own, other in zip(results, base, strict=True))
        cpu = median(1000 * each.cpu / each.frames for each in results)
        name = f"{stage.threads or 'default'} | {stage.backend}"
        click.echo(f"| {name} | {median(each.fps for each in results):.2f} | {cpu:.0f} | {share:.3f} |")


if __name__ == "__main__":
    main()
