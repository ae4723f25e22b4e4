"""Speed of the networks on a graphics card, alone and in the whole VapourSynth graph, against the card's limits.

    python benchmarks/gpu.py [--backend torch] [--device cuda:0] [--json results.json]
    python benchmarks/gpu.py --device cpu --size small      shows that the script works, where there is no card

540p to 1080p and 1080p to 4K at 2:1, in 8 and 10 bit, with a network of every tier. Frames are noise in memory. The
roofline of a network is the larger of two times per frame: of its arithmetic at the card's measured matrix rate, and of
its layers' inputs and outputs at the measured bandwidth. Without a card the script ends with a message and exit code 1.
"""

import json
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import onnx
import torch
import vapoursynth as vs
from onnx import numpy_helper, shape_inference
from rich.console import Console
from rich.table import Table

import vs_srcomp
from vs_srcomp.backends.base import BackendConfig, PlaneFormat
from vs_srcomp.backends.device_pipeline import PipelineWorker
from vs_srcomp.backends.engine_store import get_engine
from vs_srcomp.backends.tensorrt import TensorRT
from vs_srcomp.backends.torch import Torch
from vs_srcomp.geometry import RATIOS
from vs_srcomp.models import TIERS, Model, find_model, load_network, network_at

SIZES = {"full": [(960, 540), (1920, 1080)], "small": [(96, 54), (192, 108)]}
ROUNDS = 5

LEVEL = 40
"""Compression level, which changes the networks' weights, not their cost."""


def seconds_of(work: Callable[[], object], device: torch.device, times: int) -> float:
    """Seconds per call of ``work``: the median of some rounds of ``times`` calls, after a warm-up round."""
    found = []
    for _ in range(ROUNDS + 1):
        _synchronize(device)
        start = time.perf_counter()
        for _ in range(times):
            work()
        _synchronize(device)
        found.append((time.perf_counter() - start) / times)
    return median(found[1:])


def ceilings(device: torch.device, *, small: bool) -> dict[str, float]:
    """Limits of the device: GB/s of copies, and TFLOP/s of matrix products in the networks' type."""
    size, side, times = (1 << 20, 256, 3) if small else (1 << 28, 8192, 10)
    is_card = device.type == "cuda"
    host = torch.ones(size, dtype=torch.uint8, pin_memory=is_card)
    here, there = (torch.ones(size, dtype=torch.uint8, device=device) for _ in range(2))
    dtype = torch.float16 if is_card else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    upload = seconds_of(lambda: here.copy_(host, non_blocking=True), device, times)
    download = seconds_of(lambda: host.copy_(here, non_blocking=True), device, times)
    copy = seconds_of(lambda: there.copy_(here), device, times)
    multiply = seconds_of(lambda: torch.mm(a, b), device, times)
    return {
        "upload_gb_s": size / upload / 1e9,
        "download_gb_s": size / download / 1e9,
        "memory_gb_s": 2 * size / copy / 1e9,  # read and written
        "matrix_tflop_s": 2 * side**3 / multiply / 1e12,
    }


def traffic(network: bytes, plane: PlaneFormat, width_of_number: int) -> int:
    """Bytes that convolutions read and write for one plane if all other operators are fused into them."""
    model = onnx.load_model_from_string(network)
    for axis, side in ((2, plane.height), (3, plane.width)):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = side
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = {tensor.name: numpy_helper.to_array(tensor).size for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        sizes[value.name] = int(np.prod([dim.dim_value for dim in value.type.tensor_type.shape.dim]))
    layers = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose")]
    return width_of_number * sum(sizes[name] for node in layers for name in (*node.input, *node.output))


def network_seconds(backend: BackendConfig, model: Model, plane: PlaneFormat, device: torch.device, runs: int) -> float:
    """Seconds of one run from integers to integers; without copies on a card, with them on the processor."""
    worker = backend.compile(network_at(load_network(model), LEVEL), plane).worker()
    if not isinstance(worker, PipelineWorker):
        codes = noise(plane)
        target = np.empty_like(codes)
        return seconds_of(lambda: worker.restore(codes, target), device, runs)
    queue: Any = worker._queue
    stream = queue._stream if isinstance(backend, Torch) else torch.cuda.ExternalStream(queue._address, device)
    found = []
    with queue.selected():
        queue.upload()
        for _ in range(ROUNDS + 1):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record(stream)
            for _ in range(runs):
                queue.run()
            end.record(stream)
            queue.wait()
            found.append(begin.elapsed_time(end) / 1e3 / runs)
    return median(found[1:])


def graph_fps(clip: vs.VideoNode) -> float:
    """Frames per second of a clip, requested as by a host: several at a time, in order."""
    vs.core.std.SetVideoCache(clip, mode=0)
    warm_up = min(len(clip) // 4, 32)
    for _ in clip[:warm_up].frames(close=True):
        pass
    start = time.perf_counter()
    for _ in clip[warm_up:].frames(close=True):
        pass
    return (len(clip) - warm_up) / (time.perf_counter() - start)


def noise(plane: PlaneFormat) -> Any:
    """A plane of random codes."""
    rng = np.random.default_rng(0)
    return rng.integers(0, plane.peak + 1, (plane.height, plane.width)).astype(plane.dtype)


def noise_clip(width: int, height: int, bits: int, frames: int) -> vs.VideoNode:
    """A loop of eight noise frames, made before the measurement."""
    blank = vs.core.std.BlankClip(
        format=getattr(vs, f"YUV420P{bits}"), width=width, height=height, length=frames, keep=True
    )
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(8):
        frame = blank.get_frame(0).copy()
        for plane in range(3):
            view = np.asarray(frame[plane])
            view[:] = rng.integers(0, 1 << bits, view.shape)
        pictures.append(frame)
    return vs.core.std.ModifyFrame(blank, blank, lambda n, f: pictures[n % 8])


def measure(
    backend: BackendConfig,
    model: Model,
    size: tuple[int, int],
    bits: int,
    device: torch.device,
    limits: dict[str, float],
    frames: int,
) -> dict[str, Any]:
    """All figures of one case."""
    width, height = size
    plane = PlaneFormat(2 * width, 2 * height, bits)
    network = network_at(load_network(model), LEVEL)
    seconds = network_seconds(backend, model, plane, device, runs=frames)
    get_engine(network, backend, plane)  # Made before the graph is measured.
    clip = noise_clip(width, height, bits, frames * 2)
    whole = graph_fps(vs_srcomp.upscale(clip, ratio="2:1", q=LEVEL, model=model.tier, backend=backend))
    lanczos = graph_fps(clip.resize.Lanczos(2 * width, 2 * height, filter_param_a=5))
    pixels = plane.width * plane.height
    operations = 2 * model.macs_per_pixel * pixels
    moved = traffic(network.onnx, plane, 2 if device.type == "cuda" else 4)
    copied = pixels * np.dtype(plane.dtype).itemsize
    copies = 1 / max(copied / limits["upload_gb_s"] / 1e9, copied / limits["download_gb_s"] / 1e9)
    roofline = max(operations / limits["matrix_tflop_s"] / 1e12, moved / limits["memory_gb_s"] / 1e9)
    return {
        "model": model.name,
        "from": f"{width}x{height}",
        "to": f"{plane.width}x{plane.height}",
        "bits": bits,
        "network_fps": 1 / seconds,
        "graph_fps": whole,
        "lanczos_fps": lanczos,
        "copies_fps": copies,
        "busy": whole * seconds,
        "of_the_slowest_part": whole / min(1 / seconds, lanczos, copies),
        "gflop": operations / 1e9,
        "megabytes": moved / 1e6,
        "roofline_fps": 1 / roofline,
        "of_the_roofline": roofline / seconds,
    }


def show(results: list[dict[str, Any]], console: Console) -> None:
    """The table."""
    table = Table("model", "to", "bits", "network", "graph", "Lanczos alone", "copies alone", "busy", "graph / slowest")
    for heading in ("GFLOP", "MB", "roofline", "network / roofline"):
        table.add_column(heading)
    for found in results:
        fps = [f"{found[name]:.1f}" for name in ("network_fps", "graph_fps", "lanczos_fps", "copies_fps")]
        table.add_row(
            found["model"], found["to"], str(found["bits"]), *fps, f"{found['busy']:.0%}",
            f"{found['of_the_slowest_part']:.0%}", f"{found['gflop']:.1f}", f"{found['megabytes']:.0f}",
            f"{found['roofline_fps']:.1f}", f"{found['of_the_roofline']:.0%}",
        )  # fmt: skip
    console.print(table)
    console.print(
        "Frames per second; busy: share of the time that one network at a time would take of the whole graph's"
    )


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "torch.cuda": str(torch.version.cuda)}
    for package in ("vs-srcomp", "VapourSynth", "torch", "tensorrt", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@click.command()
@click.option("--backend", "kind", type=click.Choice(["torch", "tensorrt"]), default="torch", show_default=True)
@click.option("--device", "where", default="cuda:0", show_default=True, help="cuda:N, or cpu with torch.")
@click.option("--size", type=click.Choice(list(SIZES)), default="full", show_default=True)
@click.option("--frames", default=0, help="Per measurement; 0: 200, or 4 at the small size.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="JSON file for all figures.")
def main(kind: str, where: str, size: str, frames: int, file: Path | None) -> None:
    """Measure, print a table, write the figures."""
    device = torch.device(where)
    if kind == "tensorrt" and device.type != "cuda":
        raise click.BadParameter("TensorRT runs on cards only", param_hint="--device")
    backend = TensorRT(device=device.index or 0) if kind == "tensorrt" else Torch(device=where)
    reason = backend.why_not()
    if reason:
        click.echo(f"nothing was measured: {reason}", err=True)
        sys.exit(1)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    small = size == "small"
    limits = ceilings(device, small=small)
    tiers = {tier: find_model(tier, RATIOS[0]) for tier in TIERS}
    results = [
        measure(backend, model, dimensions, bits, device, limits, frames or (4 if small else 200))
        for model in tiers.values()
        for dimensions in SIZES[size]
        for bits in (8, 10)
    ]
    console = Console(width=180)
    console.print(f"{card}, {kind}, {datetime.now(UTC):%Y-%m-%d}, VapourSynth with {vs.core.num_threads} threads")
    console.print(", ".join(f"{name} {value:.1f}" for name, value in limits.items()))
    show(results, console)
    if file:
        content = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "card": card,
            "backend": str(backend),
            "size": size,
            "versions": _versions(),
            "ceilings": limits,
            "results": results,
        }
        file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
