"""Memory over a long run in vspipe: 10,000 frames of 8 bits, of 10 bits, and with a variable frame rate.

    python benchmarks/memory.py [--frames 10000] [--size 96x64] [--what P8 --what P10 --what VFR]
    python benchmarks/memory.py --size 960x540 --frames 200 --what P8

Each script opens a file and upscales it. Memory is read while vspipe runs: at frame 500 (or after a tenth, if that is
less), the maximum after that, and the peak. vspipe must know this Python: vapoursynth config. The whole file is read,
since --end adds a node with its own cache.
"""

import re
import subprocess
import sys
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import click

from vs_srcomp.bench.scene import write_scene

SCRIPT = """
import vs_srcomp
clip = vs_srcomp.source(path)
vs_srcomp.upscale(clip, ratio="2:1").set_output()
"""
SETTLED = 500
POLL = 0.05


def write_variable(target: Path, file: Path) -> None:
    """Write the same packets with irregular timestamps."""
    with av.open(str(file)) as constant, av.open(str(target), "w") as variable:
        stream = variable.add_stream_from_template(constant.streams.video[0], opaque=True)
        clock = 0
        for packet in constant.demux(video=0):
            if packet.size:
                packet.time_base = Fraction(1, 1000)
                packet.pts = packet.dts = clock
                packet.duration = 20 + 30 * (packet.size % 3)
                clock += packet.duration
                packet.stream = stream
                variable.mux(packet)


def resident(process: int, name: str) -> float:
    """Memory in MB of a process and its children: ``VmRSS`` now, or ``VmHWM`` at its peak.

    The command vspipe of VapourSynth's wheel only starts the program of that name, which does the work.
    """
    folder = Path(f"/proc/{process}")
    try:
        status = (folder / "status").read_text()
        children = (folder / "task" / str(process) / "children").read_text().split()
    except OSError:
        return 0.0
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    own = int(found[1]) * 1024 / 1e6 if found else 0.0
    return own + sum(resident(int(child), name) for child in children)


def watch(file: Path, frames: int, script: Path) -> tuple[float, float, float]:
    """Memory in MB at the settled frame, its maximum from there on, and its peak."""
    vspipe = Path(sys.executable).with_name("vspipe")
    command = [vspipe, "-p", "-a", f"path={file}", script, "."]
    with subprocess.Popen(command, stderr=subprocess.PIPE, bufsize=0) as process:
        done = 0
        output = ""

        def follow() -> None:
            nonlocal done, output
            assert process.stderr
            # vspipe rewrites one line, so there are no line ends to wait for.
            while part := process.stderr.read(4096):
                output = (output + part.decode(errors="replace"))[-4096:]
                if numbers := re.findall(r"Frame: (\d+)/", output):
                    done = int(numbers[-1])

        reader = threading.Thread(target=follow)
        reader.start()
        settled = min(SETTLED, frames // 10)
        level = highest = peak = 0.0
        while process.poll() is None:
            now = resident(process.pid, "VmRSS")
            if done >= settled:
                level = level or now
                highest = max(highest, now)
            peak = max(peak, resident(process.pid, "VmHWM"))
            time.sleep(POLL)
        reader.join()
    if process.returncode or not level:
        raise click.ClickException(f"vspipe ended too soon or failed:\n{output[-500:]}")
    return level, highest, peak


@click.command()
@click.option("--frames", default=10_000, show_default=True)
@click.option("--size", default="96x64", show_default=True, help="Clip size before upscaling.")
@click.option("--what", multiple=True, type=click.Choice(["P8", "P10", "VFR"]), default=["P8", "P10", "VFR"])
def main(frames: int, size: str, what: tuple[str, ...]) -> None:
    """Print a table."""
    width, height = map(int, size.split("x"))
    click.echo(f"{width}x{height} to {2 * width}x{2 * height}, {frames} frames")
    click.echo("| clip | MB at the settled frame | highest MB later | growth | peak MB |")
    click.echo("| --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "memory.vpy"
        script.write_text(SCRIPT)
        for kind in what:
            file = Path(folder) / f"{kind}.mkv"
            write_scene(file, width, height, 10 if kind == "P10" else 8, frames)
            if kind == "VFR":
                file, constant = file.with_name("variable.mkv"), file
                write_variable(file, constant)
            level, highest, peak = watch(file, frames, script)
            click.echo(f"| {kind} | {level:.1f} | {highest:.1f} | {highest / level - 1:+.1%} | {peak:.1f} |")


if __name__ == "__main__":
    main()
