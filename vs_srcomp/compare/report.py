"""The report: one self-contained HTML file."""

import base64
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import vapoursynth as vs

from vs_srcomp import __version__
from vs_srcomp.compare.choice import DIFFERENT, choose
from vs_srcomp.compare.colours import is_hdr
from vs_srcomp.compare.inputs import Side
from vs_srcomp.compare.pictures import draw
from vs_srcomp.compare.scores import Measured, Progress, Track, measure, metrics_for, metrics_there
from vs_srcomp.compare.sheet import write_sheet
from vs_srcomp.errors import error
from vs_srcomp.files import atomic_path
from vs_srcomp.log import log_info
from vs_srcomp.named_files import already_there, check_output
from vs_srcomp.quality.libvmaf import LEAST_SIDE
from vs_srcomp.stills.formats import kind_of

LARGEST_FILE: Final = 10_000_000
"""Size limit in bytes of a report with up to `FRAMES` frames."""

FRAMES: Final = 12

MOST_SIDES: Final = 9
"""The keys 1 to 9 choose one."""

# Facts about a file; unknown ones are null in the report.
_FACTS = ("file", "bytes", "bits_per_second", "codec", "encoder", "command", "models")

# Points of a curve for long videos: more than a screen has columns.
_POINTS = 3000

# In the head of a page.
_GENERATOR = b'<meta name="generator" content="vs-srcomp '
_HEAD = 1024

# Besides those that the package itself needs.
_PACKAGES = ("jinja2",)
_INSTALL = "install it with: pip install 'vs-srcomp[compare]'"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a report."""

    frames: int = FRAMES
    """Number of frames with pictures."""
    metrics: Sequence[str] | None = None
    """Names of metrics; None for all that can be measured."""
    threads: int = 1
    """Threads of VMAF for each candidate."""
    title: str = ""
    command: str = ""
    """The command that makes the report."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Further columns of the table of versions."""
    picture: Path | None = None
    """A picture file to write as well: the crops, side by side, of the frame on which the candidates differ most."""
    overwrite: bool = False


def write_report(
    candidates: Sequence[Side],
    reference: Side | None,
    target: Path,
    options: Options | None = None,
    progress: Progress = lambda what, done, total: None,
) -> None:
    """Compare ``candidates``, and write the HTML file ``target`` atomically.

    Args:
        candidates: Two or more, or one with a reference; at most nine with the reference.
        reference: The original. Without it there are no scores.
        target: The file.
        options: See `Options`.
        progress: See `Progress`.

    Raises:
        vs.Error: The files cannot be compared, ``target`` exists, or a package is missing.
    """
    options = options or Options()
    sides = [*candidates, *([reference] if reference else [])]
    check_number(len(candidates), reference is not None)
    check_target(target, overwrite=options.overwrite)
    if options.picture:
        check_picture(options.picture, overwrite=options.overwrite)
    template = _template()
    # Before the long work: the folder may not exist, or not be writable.
    with atomic_path(target, overwrite=options.overwrite) as temporary:
        names = metrics_there() if options.metrics is None else options.metrics
        if options.metrics is None and "ssimulacra2" not in names:
            log_info('SSIMULACRA 2 is left out, because vszip is not installed: pip install "vs-srcomp[compare]"')
        if options.metrics is None and reference:
            there, names = names, metrics_for(names, reference.clip.width, reference.clip.height)
            if names != there:
                log_info(f"VMAF and SSIM are left out: they take pictures of {LEAST_SIDE}x{LEAST_SIDE} pixels or more")
        measured = measure(candidates, reference, names, threads=options.threads, progress=progress)
        chosen = choose(measured, options.frames)
        data = describe(candidates, reference, measured, options)
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        page = {name: _part(name) for name in ("page.css", "page.js", "uplot.min.css", "uplot.min.js", "uplot.LICENSE")}
        room = LARGEST_FILE - len(text.encode()) - sum(map(len, page.values())) - 40_000
        shown = draw(sides, len(candidates), chosen, int(room * 3 / 4), progress)
        data["shown"] = [
            {
                "number": each.chosen.number,
                "time": round(measured.times[each.chosen.number], 4),
                "why": list(each.chosen.reasons),
                "crop": [each.left, each.top, each.width, each.height],
            }
            for each in shown
        ]
        pictures = [{"crops": [_uri(crop) for crop in each.crops], "overview": _uri(each.overview)} for each in shown]
        # Drop its first line, a comment with a URL: reports have no external references. The licence names the author.
        page["uplot.min.js"] = page["uplot.min.js"].partition("*/")[2].strip()
        parts = {"json": _embedded(data), "pictures": _embedded(pictures), "page": page}
        html = template.render(report=data, best=_best(data), **parts)
        temporary.write_text(html, "utf-8", "backslashreplace")  # names may have any bytes
        if options.picture:
            telling = next((each for each in chosen if DIFFERENT in each.reasons), chosen[len(chosen) // 2])
            write_sheet(sides, len(candidates), telling, options.picture, overwrite=options.overwrite)


def is_report(file: Path) -> bool:
    """Whether `write_report` has made ``file``."""
    with file.open("rb") as opened:
        return _GENERATOR in opened.read(_HEAD)


def missing_packages() -> list[str]:
    """The packages that a report needs and that are not installed."""
    return [name for name in _PACKAGES if find_spec(name) is None]


def check_number(candidates: int, has_reference: bool) -> None:
    """Raise an error if there are too few or too many sides."""
    if candidates < (1 if has_reference else 2):
        raise error("there is nothing to compare with", "give two files, or one and --reference")
    if candidates + has_reference > MOST_SIDES:
        raise error(f"{candidates + has_reference} pictures of each frame are too many", f"give {MOST_SIDES} at most")


def check_target(target: Path, *, overwrite: bool) -> None:
    """Raise an error if a report cannot have this name."""
    if target.suffix.lower() not in (".html", ".htm"):
        raise error(f"{target.name!r} does not end in .html", "give the report such a name")
    _check_place(target, overwrite=overwrite)


def check_picture(target: Path, *, overwrite: bool) -> None:
    """Raise an error if the picture of a report cannot have this name."""
    kind_of(target)
    _check_place(target, overwrite=overwrite)


def _check_place(target: Path, *, overwrite: bool) -> None:
    check_output(target)
    if target.exists() and not overwrite:
        raise already_there(target, "give the report another name")


def describe(
    candidates: Sequence[Side], reference: Side | None, measured: Measured, options: Options
) -> dict[str, Any]:
    """The data of a report without pictures."""
    clip = candidates[0].clip
    step = -(-len(measured.times) // _POINTS)
    seconds = measured.times[-1] + (measured.times[-1] / (len(measured.times) - 1) if len(measured.times) > 1 else 0)
    return {
        "title": options.title or "Comparison",
        "made": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "command": options.command,
        "versions": _versions() | dict(options.details),
        "width": clip.width,
        "height": clip.height,
        "frames": len(measured.times),
        "seconds": round(seconds, 3),
        "hdr": is_hdr((reference or candidates[0]).clip),
        "step": step,
        "times": [round(each, 3) for each in measured.times[::step]],
        "cuts": measured.cuts,
        "detail": [round(each, 2) for each in measured.detail[::step]],
        "metrics": [asdict(metric) for metric in measured.metrics],
        "candidates": [
            {**_facts(side), **_scores(track, measured, step)}
            for side, track in zip(candidates, measured.tracks, strict=True)
        ],
        "reference": _facts(reference) if reference else None,
    }


def _facts(side: Side) -> dict[str, Any]:
    return {"name": side.name, **dict.fromkeys(_FACTS), **side.facts}


def _best(data: Mapping[str, Any]) -> dict[str, float]:
    """The best mean of each metric."""
    means = {metric["name"]: [one["mean"][metric["name"]] for one in data["candidates"]] for metric in data["metrics"]}
    return {name: max(math.inf if each is None else each for each in of_all) for name, of_all in means.items()}


def _scores(track: Track, measured: Measured, step: int) -> dict[str, Any]:
    return {
        "scores": {
            metric.name: [_rounded(each, metric.digits + 1) for each in _least(track.scores[metric.name], step)]
            for metric in measured.metrics
        },
        "mean": {
            metric.name: _rounded(measured.total(track, metric), metric.digits + 1) for metric in measured.metrics
        },
        "worst": {
            metric.name: _rounded(measured.worst(track, metric), metric.digits + 1) for metric in measured.metrics
        },
        "q": [_rounded(each, 2) for each in track.q[::step]],
    }


def _least(values: Sequence[float | None], step: int) -> list[float | None]:
    """The minimum of each ``step`` values; None counts as infinite."""
    runs = (values[start : start + step] for start in range(0, len(values), step))
    return [min((value for value in run if value is not None), default=None) for run in runs]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _versions() -> dict[str, str]:
    found = {"vs-srcomp": __version__, "VapourSynth": f"R{vs.__version__.release_major}"}
    for package in ("av", "openvino", "imageio-ffmpeg", "vapoursynth-vszip", "pillow"):
        try:
            found[package] = version(package)
        except ModuleNotFoundError:
            continue
    try:
        import imageio_ffmpeg

        found["FFmpeg (VMAF)"] = str(imageio_ffmpeg.get_ffmpeg_version())
    except (ImportError, RuntimeError):
        pass
    return found


def _template() -> Any:
    try:
        import jinja2
    except ImportError as reason:
        raise error("a report needs the package jinja2", _INSTALL) from reason
    # The page's own parts are trusted; everything else is escaped.
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["number"] = lambda value, digits: "∞" if value is None else f"{value:.{digits}f}"
    return environment.from_string(_part("page.html.j2"))


def _part(name: str) -> str:
    return files("vs_srcomp.compare").joinpath("page", name).read_text("utf-8")


def _uri(picture: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture).decode()


def _embedded(data: object) -> str:
    """JSON that cannot end its script element."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
