"""The stages: each is prepared once and then measured any number of times."""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import cycle
from pathlib import Path
from traceback import extract_tb
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import vapoursynth as vs
from av.video.frame import VideoFrame

from vs_srcomp.backends.base import BackendConfig, Engine, PlaneFormat, TypedEngine, copy_with_edges, unwrapped
from vs_srcomp.backends.from_text import backend_from_text
from vs_srcomp.backends.openvino import OpenVINOEngine
from vs_srcomp.bench.hosting import Host, clip_in_memory
from vs_srcomp.bench.stage import Kind, Stage
from vs_srcomp.encoders.feed import feed
from vs_srcomp.encoders.library import Encoder, encodable
from vs_srcomp.errors import PREFIX, error, first_line
from vs_srcomp.files import cannot_read
from vs_srcomp.geometry import ratio_by_name
from vs_srcomp.media.picture import describe_picture
from vs_srcomp.models import network_for
from vs_srcomp.resample import lanczos5
from vs_srcomp.restore import Networks
from vs_srcomp.reuse import forget
from vs_srcomp.source import source
from vs_srcomp.source.formats import pixel_format
from vs_srcomp.source.media import decoder_for, open_container, video_stream
from vs_srcomp.transcode.job import Job, encoder_settings
from vs_srcomp.upscale import upscale

type Runner = Callable[[float], tuple[int, float]]
"""Works for about so many seconds. Returns the number of frames and the exact duration."""

ENCODER_PRESET = 10
"""Of SVT-AV1 in the stage ``encode``: fast enough not to hide the graph."""

# Of a shorter file, decoders have most frames ready by the time that counting begins.
_LEAST_FRAMES = 12

# Planes for raw inference: too many for the processor's cache, but few in memory.
_PLANES = 4


def runner_for(stage: Stage) -> Runner:
    """Prepare ``stage``.

    Raises:
        vs.Error: It cannot be run here.
    """
    if stage.threads:
        vs.core.num_threads = stage.threads
    return _MAKERS[stage.kind](stage)


def _decode(stage: Stage) -> Runner:
    return _repeated(partial(_take_frames, stage, lambda first: lambda frame: None))


def _copy(stage: Stage) -> Runner:
    """Copy a frame, as every VapourSynth source must."""

    def copier(first: VideoFrame) -> Callable[[VideoFrame], None]:
        pixels = pixel_format(first.format.name)
        picture = pixels.video_format(), *pixels.size(first)
        return lambda frame: pixels.copy(frame, vs.core.create_video_frame(*picture))

    return _repeated(partial(_take_frames, stage, copier))


def _take_frames(
    stage: Stage, maker: Callable[[VideoFrame], Callable[[VideoFrame], None]], seconds: float
) -> tuple[int, float]:
    """Decode with PyAV, and process each frame but the first."""
    with open_container(stage.file) as container:
        stream = video_stream(container, 0)
        decoder_for(stream, film_grain=False, threads=0)
        frames = container.decode(stream)
        work = maker(next(frames))
        start = time.perf_counter()
        done = 0
        for frame in frames:
            work(frame)
            done += 1
            if time.perf_counter() - start >= seconds:
                break
        return done, time.perf_counter() - start


def _source(stage: Stage) -> Runner:
    def run(seconds: float) -> tuple[int, float]:
        clip = source(stage.file)
        clip.get_frame(0).close()
        return Host(clip, first=1).run(seconds)

    return _repeated(run)


def _repeated(run: Runner) -> Runner:
    """Runs over the whole file. Opening it and its first frame do not count."""

    def run_long(seconds: float) -> tuple[int, float]:
        done, took = 0, 0.0
        while took < seconds:
            frames, elapsed = run(seconds - took)
            if frames < _LEAST_FRAMES and elapsed < seconds - took:
                raise error(
                    f"the clip has {frames + 1} frame{'s' * bool(frames)}, too few to measure decoding",
                    "give a longer one, or name other stages, as in --only graph",
                )
            done, took = done + frames, took + elapsed
        return done, took

    return run_long


def _lanczos5(stage: Stage) -> Runner:
    return Host(lanczos5(_clip(stage), stage.width, stage.height)).run


def _graph(stage: Stage) -> Runner:
    return Host(_upscaled(stage)).run


def _upscaled(stage: Stage) -> vs.VideoNode:
    backend = backend_from_text(stage.backend)
    # The frames repeat: with reuse, all of them would be copied from memory.
    return upscale(_clip(stage), ratio=stage.ratio, q=stage.q, model=_model(stage), reuse=False, backend=backend)


def _file(stage: Stage) -> Runner:
    backend = backend_from_text(stage.backend)
    count = _PLANES

    def run(seconds: float) -> tuple[int, float]:
        """All frames, at least once; a few in the first call, the warm-up."""
        nonlocal count
        frames, took = 0, 0.0
        while took < seconds:
            # As in a new process, but for what is compiled.
            forget()
            up = upscale(
                source(stage.file)[:count],
                ratio=stage.ratio,
                q=stage.q,
                model=_model(stage),
                reuse=stage.kind == "file",
                backend=backend,
            )
            done, elapsed = Host(up).run(math.inf)
            frames, took = frames + done, took + elapsed
        count = stage.frames
        return frames, took

    return run


# In fewer frames, the encoder's start would be most of the time.
_LEAST_ENCODED: Final = 24


def _encode(stage: Stage) -> Runner:
    clip = encodable(_upscaled(stage))
    first, last = (dict(each.get_frame(0).props) for each in (_clip(stage), clip))
    settings = encoder_settings(Job(source=Path(stage.file), target=Path("bench.mkv"), preset=ENCODER_PRESET))
    position, rate = 0, 0.0

    def run(seconds: float) -> tuple[int, float]:
        """A whole clip, whose length is estimated from the last run: encoders hold frames back until the end."""
        nonlocal position, rate
        count = max(round(rate * seconds), _LEAST_ENCODED)
        film = clip[position : position + count]
        position += count
        encoder = Encoder(describe_picture(clip, first, last), settings, Fraction(1, 1000), Fraction(25))
        start = time.perf_counter()
        feed(film, encoder, lambda packet: None, Fraction(1, 1000))
        took = time.perf_counter() - start
        rate = count / took
        return count, took

    return run


def _script(stage: Stage) -> Runner:
    names = {
        "__name__": "__vapoursynth__",
        "__file__": stage.script,
        "clip": _clip(stage),
        "width": stage.width,
        "height": stage.height,
        "model": stage.network,
        **stage.variables,
    }
    try:
        code = Path(stage.script).read_bytes()
    except OSError as reason:
        raise cannot_read(stage.script, reason) from reason
    try:
        exec(compile(code, stage.script, "exec"), names)
    except Exception as reason:  # a script may raise anything, above all where its plugin is missing
        if isinstance(reason, vs.Error) and str(reason).startswith(PREFIX):
            raise
        lines = [
            f" in line {step.lineno}" for step in extract_tb(reason.__traceback__) if step.filename == stage.script
        ]
        raise error(
            f"{stage.script!r} cannot run: {type(reason).__name__}{''.join(lines[-1:])}: {first_line(reason)}",
            "install what it needs, which its first lines may name, or leave it out",
        ) from reason
    output = vs.get_outputs().get(0)
    if output is None:
        raise error(f"{stage.script!r} sets no output", "end it with set_output()")
    clip = output.clip
    if (clip.width, clip.height) != (stage.width, stage.height):
        raise error(
            f"{stage.script!r} gives {clip.width}x{clip.height}, not {stage.width}x{stage.height}",
            "use the variables width and height in it",
        )
    return Host(clip).run


def _inference(stage: Stage) -> Runner:
    engine, planes, target, workers = _engine_and_planes(stage)
    if isinstance(engine, OpenVINOEngine):
        return _openvino_requests(engine, planes, workers)
    return _worker_threads(engine, planes, target, workers)


def types_of(stage: Stage) -> dict[str, int]:
    """Multiply-accumulates of the network in ``stage`` by type; empty if the library reports none."""
    engine, *_ = _engine_and_planes(stage)
    return dict(engine.run()) if isinstance(engine, TypedEngine) else {}


def _engine_and_planes(stage: Stage) -> tuple[Engine, list[npt.NDArray[Any]], tuple[int, int], int]:
    """The graph's engine without tiling, luma planes for it, the shape of its output, and the number of workers."""
    clip = _clip(stage)
    backend = backend_from_text(stage.backend)
    model, ratio = _model(stage), ratio_by_name(stage.ratio)
    network = network_for(model, ratio, stage.q)[1]
    up = clip if network.scale > 1 else lanczos5(clip, stage.width, stage.height)
    plane = PlaneFormat.of(up)
    # As tiling pads it.
    height, width = (-(-size // network.stride) * network.stride for size in (plane.height, plane.width))
    whole: BackendConfig = replace(cast(Any, backend), tile=0)
    networks = Networks(model, "faithful", ratio, stage.q, whole, PlaneFormat(width, height, plane.bits))
    luma = up.std.ShufflePlanes(0, vs.GRAY)
    codes = luma if luma.format.sample_type == vs.INTEGER else luma.resize.Point(format=vs.GRAY16)
    planes = [np.empty((height, width), plane.dtype) for _ in range(_PLANES)]
    for number, padded in enumerate(planes):
        with codes.get_frame(number) as frame:
            copy_with_edges(np.asarray(frame[0]), padded)
    engine = unwrapped(networks.engine(stage.q))
    return engine, planes, (height * network.scale, width * network.scale), backend.workers


def _openvino_requests(engine: OpenVINOEngine, planes: list[npt.NDArray[Any]], count: int) -> Runner:
    """OpenVINO's asynchronous requests with their inputs in place."""
    workers = [engine.worker() for _ in range(count)]
    for worker, plane in zip(workers, cycle(planes), strict=False):
        worker.give(plane)
    requests = [worker.request for worker in workers]

    def run(seconds: float) -> tuple[int, float]:
        start = time.perf_counter()
        done = 0
        for request in cycle(requests):
            request.wait()
            if done and time.perf_counter() - start >= seconds:
                break
            request.start_async()
            done += 1
        for request in requests:
            request.wait()
        return done, time.perf_counter() - start

    return run


def _worker_threads(engine: Engine, planes: list[npt.NDArray[Any]], shape: tuple[int, int], count: int) -> Runner:
    """As many workers as in the graph, each in its own thread."""
    workers = [engine.worker() for _ in range(count)]

    def work(number: int, deadline: float) -> int:
        target = np.empty(shape, planes[0].dtype)
        done = 0
        for plane in cycle(planes):
            workers[number].restore(plane, target)
            done += 1
            if time.perf_counter() >= deadline:
                break
        return done

    def run(seconds: float) -> tuple[int, float]:
        start = time.perf_counter()
        with ThreadPoolExecutor(count) as threads:
            done = sum(threads.map(work, range(count), [start + seconds] * count))
        return done, time.perf_counter() - start

    return run


def _clip(stage: Stage) -> vs.VideoNode:
    return clip_in_memory(source(stage.file), stage.frames)


def _model(stage: Stage) -> str | Path:
    return Path(stage.model) if stage.model.endswith(".onnx") else stage.model


_MAKERS: dict[Kind, Callable[[Stage], Runner]] = {
    "decode": _decode,
    "copy": _copy,
    "source": _source,
    "lanczos5": _lanczos5,
    "inference": _inference,
    "graph": _graph,
    "encode": _encode,
    "file": _file,
    "no-reuse": _file,
    "script": _script,
}
