"""Checks of networks and backends."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from os import getloadavg
from typing import Literal

import numpy as np
import vapoursynth as vs

from vs_srcomp.backends.base import Engine, PlaneFormat, TypedEngine, unwrapped
from vs_srcomp.backends.choice import NOT_INSTALLED, default_entry, why_not
from vs_srcomp.backends.engine_store import prepare
from vs_srcomp.backends.openvino.types import fallback, share_text
from vs_srcomp.backends.registry import BACKENDS, Entry
from vs_srcomp.doctor.finding import Finding
from vs_srcomp.errors import first_line, what_and_remedy
from vs_srcomp.models import Model, load_network, network_at
from vs_srcomp.processor import IDLE_LOAD
from vs_srcomp.restore import DEFAULT_Q

MEASURED = PlaneFormat(width=960, height=540, bits=8)

# Speed is scaled by the number of pixels.
_FULL_HD = MEASURED.width * MEASURED.height / (1920 * 1080)

_REAL_TIME = 24.0


def check_models(models: Iterable[Model]) -> Finding:
    """Whether the installed networks are intact."""
    damaged, sound = [], 0
    for model in models:
        try:
            load_network(model)
        except (vs.Error, OSError):
            damaged.append(model.file)
        else:
            sound += 1
    again = "install vs-srcomp again: pip install --force-reinstall --no-deps . in its folder"
    if damaged:
        return Finding(name="models", state="broken", message=f"damaged: {', '.join(damaged)}", remedy=again)
    if not sound:
        return Finding(name="models", state="broken", message="there are none", remedy=again)
    return Finding(name="models", state="fine", message=f"{sound}, all as they were made (sha256)")


def backend_checks(model: Model | None) -> Sequence[Callable[[], Finding]]:
    """A check for each backend, best first, and one for the speed of the one that is used."""
    return (*(partial(check_backend, entry) for entry in BACKENDS), partial(check_speed, model))


def check_backend(entry: Entry) -> Finding:
    """Whether a backend is installed and runs a network, with VapourSynth's plugins loaded, as in a script."""
    # A plugin may bring a library of the same name as the backend's.
    list(vs.core.plugins())
    reason = why_not(entry)
    if reason is None:
        release = getattr(import_module(entry.package), "__version__", "its release is not known")
        return Finding(name=entry.title, state="fine", message=release.partition("-")[0])
    state: Literal["note", "broken"] = "broken" if entry.required else "note"
    installable = reason == NOT_INSTALLED or state == "broken"
    return Finding(name=entry.title, state=state, message=reason, remedy=entry.remedy() if installable else "")


def check_speed(model: Model | None, seconds: float = 1.0) -> Finding:
    """The default backend, and its speed with ``model``."""
    name, load = "default backend", getloadavg()[0]
    if model is None:
        return Finding(name=name, state="broken", message="it has nothing to run", remedy="fix the models first")
    try:
        chosen = default_entry()
        backend = chosen.make()
        engine = prepare(network_at(load_network(model), DEFAULT_Q), backend, MEASURED)
        types, wrong = _types(engine)
        speed = _FULL_HD * _frames_per_second(engine, backend.workers, seconds)
    except (vs.Error, RuntimeError, OSError) as reason:
        what, remedy = what_and_remedy(reason)
        return Finding(name=name, state="broken", message=first_line(what), remedy=remedy or "see the backends above")
    message = f"{chosen.title}: about {speed:.1f} frames of 1920x1080 a second with {model.name}{types}"
    if load > IDLE_LOAD:
        message += f"; other programs were at work (load {load:.1f})"
    if wrong:
        remedy = 'OpenVINO lacks code for a layer: use precision="bf16" or "f32", and report this processor'
        return Finding(name=name, state="broken", message=f"{message}, which is wrong: {wrong}", remedy=remedy)
    if speed < _REAL_TIME:
        remedy = "not enough for real time in 1080p: mpv then takes the smaller network light, or Lanczos alone"
        if load > IDLE_LOAD:
            remedy = "not enough for real time in 1080p, as it is: measure again when the computer is idle"
        return Finding(name=name, state="note", message=message, remedy=remedy)
    return Finding(name=name, state="fine", message=message)


def _types(engine: Engine) -> tuple[str, str]:
    """The types that layers run in, and unexpected ones; empty if the backend does not report them."""
    engine = unwrapped(engine)
    if not isinstance(engine, TypedEngine):
        return "", ""
    run = engine.run()
    return f"; multiply-accumulates: {share_text(run)}" if run else "", fallback(engine.meant, run)


def _frames_per_second(engine: Engine, workers: int, seconds: float) -> float:
    """Speed of the network alone with as many workers as in the graph: at least one frame each, after a warm-up."""
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
