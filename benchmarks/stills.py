"""Time for a picture from the start of the command to its end.

    python benchmarks/stills.py [PICTURE] [--size 1152x864] [--model light] [--rounds 5]

Each round is a new process of ``vs-srcomp upscale``, by 2:1, with modules compiled to bytecode as in an installation.
The result is the shortest wall-clock time, and the processor time of that round: other load makes rounds longer, never
shorter.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from PIL import Image

KINDS = {"jpg": {"quality": 85}, "avif": {"quality": 60}, "webp": {"quality": 80}, "png": {}}


@click.command()
@click.argument("picture", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--size", default="1152x864", show_default=True, help="Picture size before upscaling.")
@click.option("--model", default="light", show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--out", default="png", show_default=True, help="Suffix of the output.")
def main(picture: Path | None, size: str, model: str, rounds: int, out: str) -> None:
    """Print a table for PICTURE, or a synthetic one, resized to SIZE, in each file format."""
    width, height = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        image = Image.open(picture).convert("RGB") if picture else made_up(width, height)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
        click.echo(f"| {width}x{height} | seconds | processor time, s |\n| --- | ---: | ---: |")
        for kind, options in KINDS.items():
            source = Path(folder, f"in.{kind}")
            image.save(source, **options)
            argv = [sys.executable, "-m", "vs_srcomp", "upscale", source, Path(folder, f"out.{out}")]
            argv += ["--model", model, "--overwrite"]
            run(argv)  # which writes the bytecode
            seconds, processor = min(run(argv) for _ in range(rounds))
            click.echo(f"| {kind} to {out} | {seconds:.2f} | {processor:.2f} |")


def run(argv: list[str | Path]) -> tuple[float, float]:
    """Seconds of wall-clock time and of processor time."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(argv, env=environment, check=True, capture_output=True)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def made_up(width: int, height: int) -> Image.Image:
    """Smooth shapes with noise, in place of a photograph."""
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (height // 24, width // 24, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    noisy = smooth + rng.normal(0, 4, smooth.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
