"""Time until a script's first frame: import, first graph with its network, the same graph again.

    python benchmarks/start.py [--size 960x540] [--rounds 5]

Each round is a new Python process, as for a script in vspipe or a player.
"""

import json
import subprocess
import sys
from statistics import median

import click

# The host imports vapoursynth.
PROGRAM = """
import json, sys, time
import vapoursynth as vs
began = time.perf_counter()
import vs_srcomp
imported = time.perf_counter()
clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=int(sys.argv[1]), height=int(sys.argv[2]), length=10)
made = []
for _ in range(2):
    start = time.perf_counter()
    graph = vs_srcomp.upscale(clip, ratio="2:1", q=20)
    made.append(time.perf_counter() - start)
start = time.perf_counter()
graph.get_frame(0)
print(json.dumps([imported - began, *made, time.perf_counter() - start]))
"""
STEPS = ("import vs_srcomp", "first graph", "the same graph again", "first frame")


@click.command()
@click.option("--size", default="960x540", show_default=True, help="Clip size before upscaling by 2:1.")
@click.option("--rounds", default=5, show_default=True)
def main(size: str, rounds: int) -> None:
    """Print a table."""
    times = [
        json.loads(subprocess.check_output([sys.executable, "-c", PROGRAM, *size.split("x")])) for _ in range(rounds)
    ]
    click.echo("| step | ms, median | lowest | highest |")
    click.echo("| --- | ---: | ---: | ---: |")
    for step, seconds in zip(STEPS, zip(*times, strict=True), strict=True):
        click.echo("| {} | {:.1f} | {:.1f} | {:.1f} |".format(step, *(1e3 * f(seconds) for f in (median, min, max))))


if __name__ == "__main__":
    main()
