"""What runs the networks, and the networks."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import numpy as np
import vapoursynth as vs

from vs_srcomp.backends import OpenVINO
from vs_srcomp.backends.base import Engine, PlaneFormat
from vs_srcomp.doctor.finding import Finding
from vs_srcomp.models import Model, load_network

MEASURED = PlaneFormat(width=960, height=540, bits=8)

# The work grows with the number of pixels.
_FULL_HD = MEASURED.width * MEASURED.height / (1920 * 1080)

_REAL_TIME = 24.0

_OTHERS = "others are still to come"


def check_models(models: Iterable[Model]) -> Finding:
    """Whether the networks that the package carries are those that it was made with."""
    damaged, sound = [], 0
    for model in models:
        try:
            load_network(model)
        except (vs.Error, OSError):
            damaged.append(model.file)
        else:
            sound += 1
    again = "install vs-srcomp again: pip install --force-reinstall --no-deps vs-srcomp"
    if damaged:
        return Finding(name="models", state="broken", says=f"damaged: {', '.join(damaged)}", todo=again)
    if not sound:
        return Finding(name="models", state="broken", says="there are none", todo=again)
    return Finding(name="models", state="fine", says=f"{sound}, all as they were made (sha256)")


def check_openvino(model: Model | None, seconds: float = 1.0) -> Finding:
    """Whether OpenVINO, which is the backend that is used, works, and how fast it runs ``model``."""
    name = "OpenVINO"
    try:
        import openvino  # noqa: F401
    except ImportError as reason:
        return Finding(name=name, state="broken", says=f"it cannot be loaded: {reason}", todo="pip install openvino")
    release = version("openvino")
    if model is None:
        todo = "mend the models first"
        return Finding(name=name, state="broken", says=f"{release} has nothing to run", todo=todo)
    try:
        backend = OpenVINO()
        speed = _FULL_HD * _frames_per_second(backend.compile(load_network(model), MEASURED), backend.workers, seconds)
    except (vs.Error, RuntimeError, OSError) as reason:
        says = f"{release} does not run {model.name}: {str(reason).splitlines()[0]}"
        return Finding(name=name, state="broken", says=says, todo="pip install --force-reinstall openvino")
    says = f"{release} is used ({_OTHERS}): about {speed:.1f} frames of 1920x1080 a second"
    if speed < _REAL_TIME:
        todo = "files take their time; mpv takes Lanczos alone where this is too slow"
        return Finding(name=name, state="note", says=f"{says} with {model.name}", todo=todo)
    return Finding(name=name, state="fine", says=f"{says} with {model.name}")


def _frames_per_second(engine: Engine, workers: int, seconds: float) -> float:
    """The network alone, on as many frames at a time as the graph has; at least one frame each, after a first one."""
    noise = np.random.default_rng(0).integers(0, 256, (MEASURED.height, MEASURED.width), MEASURED.dtype)
    crew = [engine.worker() for _ in range(workers)]
    for worker in crew:
        worker.restore(noise, np.empty_like(noise))
    start = time.perf_counter()

    def run(index: int) -> int:
        target = np.empty_like(noise)
        frames = 0
        while not frames or time.perf_counter() - start < seconds:
            crew[index].restore(noise, target)
            frames += 1
        return frames

    with ThreadPoolExecutor(workers) as pool:
        frames = sum(pool.map(run, range(workers)))
    return frames / (time.perf_counter() - start)
