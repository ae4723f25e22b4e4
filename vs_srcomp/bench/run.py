"""All stages in turns."""

import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import vapoursynth as vs

from vs_srcomp.bench.process import Measurement, StageProcess
from vs_srcomp.bench.report import FORMAT, Report, summarize
from vs_srcomp.bench.runners import types_of
from vs_srcomp.bench.scene import write_scene
from vs_srcomp.bench.stage import OF_FILES, ON_REQUEST, TITLES, Kind, Stage
from vs_srcomp.errors import error
from vs_srcomp.geometry import ratio_by_name, scaled_size
from vs_srcomp.models import network_for
from vs_srcomp.processor import core_count
from vs_srcomp.restore import DEFAULT_Q, known_q
from vs_srcomp.source import source

type Progress = Callable[[str], None]
"""Called with a description of the next step."""

# Length of the synthetic clip: decoding it takes about as long as a measurement.
_SCENE_FRAMES = 960

# Frames in the memory of each stage.
_MEMORY = 64 << 20
_MOST_IN_MEMORY = 24

# Frames to measure of a file, from the first one on: as many with reuse as without, so that the start of a pass, in
# which the decoder reads ahead, costs a frame the same.
_OF_FILE = 60


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure, and how."""

    clip: Path | None = None
    """A video file; None for a synthetic scene."""
    size: tuple[int, int] = (960, 540)
    """Size of the synthetic scene."""
    bits: int = 8
    """Bit depth of the synthetic scene, 8 or 10."""
    ratio: str = "2:1"
    """See ``vs_srcomp.upscale``, also for the next two."""
    model: str = "fast"
    q: float | Literal["auto"] = "auto"
    """``"auto"`` takes the level of the first frame for all frames, so that every stage runs the same network."""
    backend: str = "auto"
    """See `vs_srcomp.backends.from_text.backend_from_text`."""
    peers: tuple[str, ...] = ()
    """Scripts of other filters: ``peer.vpy``, or ``peer.vpy:name=value,name=value`` with variables for it."""
    only: tuple[str, ...] = ()
    """Kinds of stages; all if there are none."""
    seconds: float = 2.0
    """Duration of one measurement, about."""
    rounds: int = 5
    """Each measures every stage once."""
    reuse: bool = True
    """Whether to measure the graph on a file with reuse, too."""


def bench(settings: Settings, progress: Progress = lambda _: None) -> Report:
    """Measure all stages in turns, each in its own process.

    Raises:
        vs.Error: Something cannot be run here.
    """
    load = os.getloadavg()[0]
    with stages_for(settings, progress) as (clip, stages):
        measured = measure(stages, settings.seconds, settings.rounds, progress)
        with_network = [stage for stage in stages if stage.kind in ("inference", "graph", "encode")]
        types = types_of(with_network[0]) if with_network else {}
    chosen: dict[str, Any] = {name: value for name, value in asdict(settings).items() if name != "clip"}
    chosen |= {"q": stages[0].q, "width": stages[0].width, "height": stages[0].height}
    chosen["types"] = types
    return Report(
        format=FORMAT,
        machine=_machine() | {"load_at_start": load},
        clip=clip,
        settings=chosen,
        stages=summarize(measured),
    )


@contextmanager
def stages_for(
    settings: Settings, progress: Progress = lambda _: None
) -> Iterator[tuple[dict[str, Any], tuple[Stage, ...]]]:
    """A description of the clip, and the stages to measure. A synthetic clip exists for the duration of the block.

    Raises:
        vs.Error: There is no such clip, stage or peer, or no stage is left.
    """
    if not _kinds(settings) and not settings.peers:
        raise error("nothing is left to measure", "choose other stages with --only, or leave out --no-reuse")
    with tempfile.TemporaryDirectory(prefix="srcomp-bench-") as folder:
        file = settings.clip.absolute() if settings.clip else Path(folder) / "scene.mkv"
        if settings.clip is None:
            progress("making a clip")
            _write_scene(file, settings)
        clip = source(file)
        facts = {
            "file": str(settings.clip) if settings.clip else None,
            "codec": _codec(file),
            "format": clip.format.name,
            "bits": clip.format.bits_per_sample,
            "width": clip.width,
            "height": clip.height,
            "frames": clip.num_frames,
        }
        stages = tuple(_stages(settings, file, clip, Path(folder)))
        del clip
        yield facts, stages


def measure(
    stages: Sequence[Stage], seconds: float, rounds: int, progress: Progress = lambda _: None
) -> list[tuple[Stage, list[Measurement]]]:
    """Measure all stages in turns, ``rounds`` times, about ``seconds`` each.

    Raises:
        vs.Error: A stage cannot be run here.
    """
    with ExitStack() as stack:
        processes = []
        for stage in stages:
            progress(f"preparing {stage.title}")
            processes.append(stack.enter_context(StageProcess(stage)))
        measured: list[tuple[Stage, list[Measurement]]] = [(stage, []) for stage in stages]
        for number in range(rounds):
            for process, (stage, results) in zip(processes, measured, strict=True):
                progress(f"round {number + 1} of {rounds}: {stage.title}")
                results.append(process.measure(seconds))
        return measured


def _write_scene(file: Path, settings: Settings) -> None:
    width, height = settings.size
    if width % 2 or height % 2 or width < 64 or height < 64:
        raise error(f"cannot make a clip of {width}x{height}", "give an even size of at least 64x64")
    if settings.bits not in (8, 10):
        raise error(f"cannot make a clip of {settings.bits} bits", "give 8 or 10")
    write_scene(file, width, height, settings.bits, _SCENE_FRAMES)


def _stages(settings: Settings, file: Path, clip: vs.VideoNode, folder: Path) -> list[Stage]:
    """The stages of ``settings`` for the clip in ``file``; what peers need is written to ``folder``."""
    try:
        ratio = ratio_by_name(settings.ratio)
    except ValueError as reason:
        raise error(str(reason), "use one of these") from None
    with clip.get_frame(0) as frame:
        frame_bytes = sum(frame.get_stride(plane) * frame[plane].shape[0] for plane in range(frame.format.num_planes))
        known = known_q(frame.props)
    q = settings.q if settings.q != "auto" else DEFAULT_Q if known is None else known
    subsampling = clip.format.subsampling_w, clip.format.subsampling_h
    width, height = scaled_size(clip.width, clip.height, ratio.factor, *subsampling)

    held = min(max(_MEMORY // frame_bytes, 1), _MOST_IN_MEMORY)

    def stage(kind: Kind, script: str = "", variables: dict[str, str] | None = None) -> Stage:
        return Stage(
            kind=kind,
            file=str(file),
            frames=min(_OF_FILE if kind in OF_FILES else held, clip.num_frames),
            width=width,
            height=height,
            ratio=settings.ratio,
            q=q,
            model=settings.model,
            backend=settings.backend,
            script=script,
            variables=variables or {},
        )

    own = [stage(kind) for kind in _kinds(settings)]
    if not settings.peers:
        return own
    network = folder / "network.onnx"
    # Whole levels, as in the graph.
    network.write_bytes(network_for(settings.model, ratio, round(q))[1].onnx)
    peers = [replace(stage("script", *_peer(text)), network=str(network)) for text in settings.peers]
    titles = [peer.title for peer in peers]
    if twice := next((title for title in titles if titles.count(title) > 1), None):
        raise error(f"two peers would be called {twice!r}", "copy a script to another name, or leave one out")
    return own + peers


def _kinds(settings: Settings) -> list[Kind]:
    """The stages of this package to measure, in the order of the table."""
    for kind in settings.only:
        if kind not in TITLES or kind == "script":
            raise error(f"there is no stage {kind!r}", f"use {', '.join(kind for kind in TITLES if kind != 'script')}")
    kinds = set(settings.only) or TITLES.keys() - ON_REQUEST | set(OF_FILES if settings.clip else ())
    kinds -= set() if settings.reuse else {"file"}
    return [kind for kind in TITLES if kind != "script" and kind in kinds]


def _peer(text: str) -> tuple[str, dict[str, str]]:
    """Path of the script and its variables."""
    path, suffix, settings = text.partition(".vpy")
    pairs = [part.partition("=") for part in settings.removeprefix(":").split(",") if part]
    if not suffix or (settings and not settings.startswith(":")) or any(not equals for _, equals, _ in pairs):
        raise error(f"{text!r} is not a script", "give peer.vpy, or peer.vpy:name=value,name=value")
    script = Path(path + suffix)
    if not script.is_file():
        raise error(f"{str(script)!r} does not exist", "check the path")
    return str(script.absolute()), {name: value for name, _, value in pairs}


def _codec(file: Path) -> str:
    from vs_srcomp.source.media import codec_of, open_container, video_stream

    with open_container(str(file)) as container:
        return codec_of(video_stream(container, 0))


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": core_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "vapoursynth": str(vs.__version__),
        "pyav": version("av"),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
