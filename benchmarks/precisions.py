"""Speed and loss of each precision on each class of processors: the table behind ``precision="auto"``.

    python benchmarks/precisions.py [--seconds 1] [--rounds 3] [--budget 95] [--json OUT.json] [--markdown]

Every tier at 2:1 in float32, bfloat16 and 8-bit integers, on every class that this processor supports: each class has a
process, with ``ONEDNN_MAX_CPU_ISA``, and the processes are measured in turns. Raw inference of 1920x1080, with default
streams and threads. The table also has the share of multiply-accumulates in each type, and the share of the float32
correction of a drawn picture that the precision keeps.

It needs the package, OpenVINO, VapourSynth and NumPy.
"""

import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

PRECISIONS = "f32", "bf16", "int8"
_LEVEL = 30
_WIDTH, _HEIGHT = 1920, 1080


@click.command()
@click.option("--seconds", default=1.0, show_default=True, help="Per measurement.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--budget", default=0.0, help="Seconds after which no further round begins [default: no limit].")
@click.option("--tier", "tiers", multiple=True, default=("light", "fast"), show_default=True)
@click.option("--class", "classes", multiple=True, help="May be repeated [default: all].")
@click.option("--json", "target", type=click.Path(path_type=Path), help="JSON file for all results.")
@click.option("--markdown", is_flag=True, help="Print only the table.")
@click.option("--worker", is_flag=True, hidden=True)
def main(
    seconds: float,
    rounds: int,
    budget: float,
    tiers: tuple[str, ...],
    classes: tuple[str, ...],
    target: Path | None,
    markdown: bool,
    worker: bool,
) -> None:
    """Print a table."""
    if worker:
        work()
        return
    from vs_srcomp.processor import usable_classes

    begun = time.monotonic()
    runs: list[dict[str, Any]] = []
    processes = []
    for name in classes or usable_classes() or ("",):
        for tier in tiers:
            for precision in PRECISIONS:
                process = _start(name, tier, precision)
                facts = _answer(process)
                if "missing" in facts:
                    process.kill()
                    continue
                runs.append({"class": name, "tier": tier, "precision": precision, **facts, "rates": [], "cpu_ms": []})
                processes.append(process)
                click.echo(f"{name} {tier} {precision}: {facts['types']}", err=not markdown)
    for number in range(rounds):
        if number and budget and time.monotonic() - begun > budget * number / (number + 1):
            break
        for process, run in zip(processes, runs, strict=True):
            rate, cpu = _asked(process, seconds)
            run["rates"].append(rate)
            run["cpu_ms"].append(cpu)
    for process in processes:
        process.kill()
    report = {"machine": _machine(), "seconds": seconds, "size": [_WIDTH, _HEIGHT], "runs": runs}
    if target:
        target.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    click.echo(table(report))


def table(report: dict[str, Any]) -> str:
    """The results as Markdown: rates, and each round's ratio to float32 on the same class."""
    lines = [
        "| class | tier | precision | fps | CPU ms/frame | times f32 | types | kept | squared error |",
        "| --- | --- | --- | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    base = {(run["class"], run["tier"]): run for run in report["runs"] if run["precision"] == "f32"}
    for run in report["runs"]:
        reference = base[run["class"], run["tier"]]
        ratio = median(own / other for own, other in zip(run["rates"], reference["rates"], strict=True))
        total = sum(run["types"].values()) or 1
        types = ", ".join(f"{kind} {count / total:.0%}" for kind, count in run["types"].items())
        lines.append(
            f"| {run['class']} | {run['tier']} | {run['precision']} | {median(run['rates']):.1f} | "
            f"{median(run['cpu_ms']):.1f} | {ratio:.2f} | {types} | {run['kept']:.3f} | {run['error']:.3f} |"
        )
    return "\n".join(lines)


def _start(name: str, tier: str, precision: str) -> "subprocess.Popen[str]":
    environment = os.environ | ({"ONEDNN_MAX_CPU_ISA": name} if name else {})
    process = subprocess.Popen(
        [sys.executable, __file__, "--worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    _send(process, {"tier": tier, "precision": precision})
    return process


def _asked(process: "subprocess.Popen[str]", seconds: float) -> tuple[float, float]:
    _send(process, seconds)
    answer = _answer(process)
    return answer["fps"], answer["cpu_ms"]


def _send(process: "subprocess.Popen[str]", what: object) -> None:
    assert process.stdin
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


def _answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise click.ClickException(f"a process ended with {process.wait()}")
    facts: dict[str, Any] = json.loads(line)
    return facts


def work() -> None:
    """Run one network in one precision: print facts, then a measurement for each number of seconds on stdin."""
    import vapoursynth as vs

    from vs_srcomp.backends import OpenVINO
    from vs_srcomp.backends.base import PlaneFormat
    from vs_srcomp.backends.openvino.types import fallback
    from vs_srcomp.errors import first_line

    asked = json.loads(sys.stdin.readline())
    network = _network(asked["tier"])
    backend = OpenVINO(precision=asked["precision"])
    plane = PlaneFormat(_WIDTH, _HEIGHT, 8)
    try:
        engine = backend.compile(network, plane)
    except vs.Error as reason:
        print(json.dumps({"missing": first_line(reason)}), flush=True)
        return
    codes = drawn()
    restored, exact = np.empty_like(codes), np.empty_like(codes)
    engine.worker().restore(codes, restored)
    OpenVINO(precision="f32").compile(network, plane).worker().restore(codes, exact)
    correction, own = (result.astype(np.float64) - codes for result in (exact, restored))
    facts = {
        "types": dict(engine.run()),
        "fallback": fallback(engine.meant, engine.run()),
        "kept": float((correction * own).sum() / np.square(correction).sum()),
        "error": float(np.square(own - correction).mean()),
    }
    print(json.dumps(facts), flush=True)
    workers = [engine.worker() for _ in range(backend.workers)]
    for line in sys.stdin:
        print(json.dumps(measured(workers, codes, json.loads(line))), flush=True)


def measured(workers: list[Any], codes: Any, seconds: float) -> dict[str, float]:
    """Frames per second with a thread per worker, and milliseconds of processor time per frame."""
    before, start = time.process_time(), time.perf_counter()

    def run(worker: Any) -> int:
        target, frames = np.empty_like(codes), 0
        while not frames or time.perf_counter() - start < seconds:
            worker.restore(codes, target)
            frames += 1
        return frames

    with ThreadPoolExecutor(len(workers)) as threads:
        frames = sum(threads.map(run, workers))
    took = time.perf_counter() - start
    return {"fps": frames / took, "cpu_ms": 1000 * (time.process_time() - before) / frames}


def drawn() -> Any:
    """Discs and bars with hard edges on a gradient, upscaled by Lanczos-5."""
    import vapoursynth as vs

    from vs_srcomp.resample import lanczos5

    rng = np.random.default_rng(0)
    y, x = np.mgrid[: _HEIGHT // 2, : _WIDTH // 2]
    scene = 60 + 90 * x / x.max() + 10 * np.sin(0.02 * (x + 0.7 * y) ** 1.3)
    for _ in range(200):
        away = np.hypot(x - rng.uniform(0, x.max()), y - rng.uniform(0, y.max()))
        scene[away < rng.uniform(1, 60)] = rng.uniform(0, 255)
    scene += rng.normal(0, 2, scene.shape)
    blank = vs.core.std.BlankClip(format=vs.GRAY8, width=x.shape[1], height=x.shape[0], length=1)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        filled = f.copy()
        np.copyto(np.asarray(filled[0]), scene.clip(0, 255).round().astype(np.uint8))
        return filled

    up = lanczos5(blank.std.ModifyFrame(blank, fill), _WIDTH, _HEIGHT)
    return np.array(up.get_frame(0)[0])


def _network(tier: str) -> Any:
    from vs_srcomp.geometry import RATIOS
    from vs_srcomp.models import network_for

    return network_for(tier, RATIOS[0], _LEVEL)[1]


def _machine() -> dict[str, Any]:
    import openvino

    from vs_srcomp.processor import core_count, processor_class

    return {
        "processor": openvino.Core().get_property("CPU", "FULL_DEVICE_NAME"),
        "class": processor_class(),
        "cores": core_count(),
        "load_at_start": os.getloadavg()[0],
        "system": platform.platform(terse=True),
        "openvino": openvino.get_version(),
    }


if __name__ == "__main__":
    main()
