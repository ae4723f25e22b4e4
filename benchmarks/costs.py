"""Costs of the graph besides the network: resizing, copying, and scheduling by VapourSynth and Python.

    python benchmarks/costs.py [--size 960x540] [--bits 8] [--seconds 2] [--rounds 5]

The graph is built step by step on the same frames in memory: first nothing, then the resize, a backend that only copies
planes, and the network. The steps are measured in turns. The cost of a step is the processor time per frame that it
adds, which does not depend on other load.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import click
import numpy as np
import vapoursynth as vs

from vs_srcomp import Backend, source, upscale
from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.bench import Settings
from vs_srcomp.bench.hosting import Host, clip_in_memory
from vs_srcomp.bench.run import stages_for
from vs_srcomp.bench.runners import runner_for
from vs_srcomp.models import Network
from vs_srcomp.resample import lanczos5


@dataclass(frozen=True, kw_only=True)
class Copying:
    """A backend without a network, to measure the rest of the graph."""

    copies: int
    workers: int = 2
    tile: int = 0

    def why_not(self) -> None:
        """None: it runs everywhere."""

    def identity(self) -> dict[str, str]:
        """Empty: nothing affects the result."""
        return {}

    def compile(self, network: Network, plane: PlaneFormat) -> "Copying":
        """Nothing to do."""
        return self

    def worker(self) -> "Copying":
        """Itself."""
        return self

    def restore(self, source: Luma, target: Luma) -> None:
        """Copy the plane ``copies`` times."""
        for _ in range(self.copies):
            np.copyto(target, source)


def measured(run: Callable[[float], tuple[int, float]], seconds: float) -> tuple[float, float]:
    """Milliseconds of processor time and of wall-clock time per frame."""
    before = time.process_time()
    frames, took = run(seconds)
    return 1000 * (time.process_time() - before) / frames, 1000 * took / frames


@click.command()
@click.option("--size", default="960x540", show_default=True, help="Clip size before upscaling.")
@click.option("--bits", type=click.Choice(["8", "10"]), default="8", show_default=True)
@click.option("--seconds", default=2.0, show_default=True, help="Per measurement.")
@click.option("--rounds", default=5, show_default=True)
def main(size: str, bits: str, seconds: float, rounds: int) -> None:
    """Print a table."""
    width, height = map(int, size.split("x"))
    settings = Settings(size=(width, height), bits=int(bits), q=40, backend="openvino", only=("inference",))
    with stages_for(settings) as (_, (raw,)):
        clip = clip_in_memory(source(raw.file), raw.frames)
        steps = {
            "nothing: frames from memory": Host(clip).run,
            "resize of luma": Host(lanczos5(clip.std.ShufflePlanes(0, vs.GRAY), raw.width, raw.height)).run,
            "resize of all planes": Host(lanczos5(clip, raw.width, raw.height)).run,
            "graph, one worker that does nothing": Host(upscale(clip, backend=Copying(copies=0, workers=1))).run,
            "graph, two workers that do nothing": Host(upscale(clip, backend=Copying(copies=0))).run,
            "graph, a copy of the plane": Host(upscale(clip, backend=Copying(copies=1))).run,
            "graph, two copies of the plane": Host(upscale(clip, backend=Copying(copies=2))).run,
            "bare network": runner_for(raw),
            "graph": Host(upscale(clip, q=40, backend=Backend.OpenVINO())).run,
        }
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
        for _ in range(rounds):
            for name, run in steps.items():
                results[name].append(measured(run, seconds))
    click.echo("| step | CPU ms/frame | ms/frame |")
    click.echo("| --- | ---: | ---: |")
    for name, values in results.items():
        cpu, wall = (median(column) for column in zip(*values, strict=True))
        click.echo(f"| {name} | {cpu:.2f} | {wall:.2f} |")


if __name__ == "__main__":
    main()
