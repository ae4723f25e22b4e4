"""How much of the network's own speed the whole graph keeps: 540p to 1080p through vspipe, beside raw inference.

    python benchmarks/graph.py [--bits 8] [--frames 60] [--rounds 5]

Both are measured in turns in one run, because machines differ from minute to minute; the ratio of the medians counts.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import click
import numpy as np

from vs_srcomp import Backend, models
from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.models import load_network

WIDTH, HEIGHT = 1920, 1080
SCRIPT = """
import numpy as np, vapoursynth as vs, vs_srcomp
blank = vs.core.std.BlankClip(format=vs.{format}, width={width}, height={height}, length={frames}, keep=True)
# Eight noisy frames, made before the measurement: constant pictures could be resized faster than real ones.
rng = np.random.default_rng(0)
pictures = []
for _ in range(8):
    frame = blank.get_frame(0).copy()
    for plane in range(3):
        view = np.asarray(frame[plane])
        view[:] = rng.integers(0, 1 << {bits}, view.shape)
    pictures.append(frame)
clip = blank.std.ModifyFrame(blank, lambda n, f: pictures[n % 8])
vs_srcomp.upscale(clip, ratio="2:1", q=40).set_output()
"""


def graph_fps(script: Path) -> float:
    """Frames per second that vspipe reports for the whole script."""
    vspipe = Path(sys.executable).with_name("vspipe")
    report = subprocess.run([vspipe, "-p", script, "."], capture_output=True, text=True, check=True).stderr
    match = re.findall(r"\(([\d.]+) fps\)", report)
    if not match:
        raise click.ClickException(f"vspipe did not say how fast it was:\n{report}")
    return float(match[-1])


def inference_fps(bits: int, frames: int) -> float:
    """Frames per second of the same network on planes in memory, through the inference library's own API."""
    network = next(model for model in models() if model.name == "srcomp-fast-2by1-q40")
    engine = Backend.OpenVINO().compile(load_network(network), PlaneFormat(WIDTH, HEIGHT, bits))
    requests = [engine._compiled.create_infer_request() for _ in range(Backend.OpenVINO().workers)]
    rng = np.random.default_rng(0)
    for request in requests:
        data = request.get_input_tensor().data
        data[:] = rng.integers(0, 1 << bits, data.shape)
        request.infer()
    start = time.perf_counter()
    for index in range(frames):
        request = requests[index % len(requests)]
        request.wait()
        request.start_async()
    for request in requests:
        request.wait()
    return frames / (time.perf_counter() - start)


@click.command()
@click.option("--bits", type=click.Choice(["8", "10"]), default="8", show_default=True)
@click.option("--frames", default=60, show_default=True, help="Frames a measurement.")
@click.option("--rounds", default=5, show_default=True)
def main(bits: str, frames: int, rounds: int) -> None:
    """Compare the graph with raw inference."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "graph.vpy"
        values = {
            "format": f"YUV420P{bits}",
            "width": WIDTH // 2,
            "height": HEIGHT // 2,
            "frames": frames,
            "bits": bits,
        }
        script.write_text(SCRIPT.format(**values))
        pairs = [(inference_fps(int(bits), frames), graph_fps(script)) for _ in range(rounds)]
    raw, graph = (median(values) for values in zip(*pairs, strict=True))
    spread = ", ".join(f"{g / r:.3f}" for r, g in pairs)
    click.echo(
        f"{bits} bit, {WIDTH // 2}x{HEIGHT // 2} to {WIDTH}x{HEIGHT}, medians of {rounds} rounds of {frames} frames"
    )
    click.echo(f"raw inference {raw:.2f} fps, whole graph {graph:.2f} fps: {graph / raw:.1%} (by round: {spread})")


if __name__ == "__main__":
    main()
