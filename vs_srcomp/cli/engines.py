"""``vs-srcomp engines``: networks that have been compiled for this computer."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vs_srcomp.cli.arguments import BackendName, FileName, ModelName, check_model, look_option
from vs_srcomp.cli.reports import CONTEXT_SETTINGS, HintingGroup, core_log_on_stderr, debug_option, stderr

if TYPE_CHECKING:
    from vs_srcomp.backends.base import BackendConfig, PlaneFormat
    from vs_srcomp.engine_folder import StoredEngine
    from vs_srcomp.geometry import Ratio
    from vs_srcomp.models import Network
    from vs_srcomp.stored_engines import Outcome

# Of a table that does not go to a terminal.
_PLAIN_WIDTH = 120

_DAY = 86_400


class _Size(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5, but not before
    """A picture's size."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Width and height."""
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", str(value))
        if match is None:
            self.fail(f"{value!r} is not a size: give width and height, such as 1920x1080", param, ctx)
        return int(match[1]), int(match[2])


@click.group(cls=HintingGroup, context_settings=CONTEXT_SETTINGS, short_help="Prepare and manage compiled networks.")
def engines() -> None:
    """Compiled networks are kept, so that the next start is faster. Here they can be seen, made ahead, and removed.

    They lie in the user's cache, or in the folder that SRCOMP_CACHE_DIR names.

    \b
    Examples:
      vs-srcomp engines list
      vs-srcomp engines build --size 1920x1080
      vs-srcomp engines clear --older-than 30
    """


@engines.command("list", short_help="List them.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known of them, as JSON.")
@debug_option
def list_engines(as_json: bool) -> None:
    """List the compiled networks, the one used last first. Sizes are those of the planes that they take.

    \b
    Examples:
      vs-srcomp engines list
      vs-srcomp engines list --json
    """
    found = [engine for engine in _stored() if engine.finished]
    if as_json:
        click.echo(json.dumps([_facts(engine) for engine in found], indent=2))
    elif found:
        _print_table(found)
    else:
        from vs_srcomp.engine_folder import engines_folder

        _say(f"there are none in {engines_folder()}")


@engines.command(short_help="Make them ahead.")
@click.option("--clip", type=FileName(), metavar="FILE", help="For the size and the bits of this file.")
@click.option("--size", type=_Size(), help="For pictures that are this large after upscaling.")
@click.option(
    "--ratio",
    type=click.Choice(["2:1", "8:5", "4:3"]),
    default="2:1",
    show_default=True,
    help="How much larger pictures are made.",
)
@click.option(
    "--q", "levels", type=click.FloatRange(0, 63), multiple=True, help="Only for this level; may be repeated."
)
@click.option(
    "--model",
    type=ModelName(),
    default="fast",
    show_default=True,
    help="Which networks to compile: light, fast, quality, another model's name, or a file.",
)
@look_option
@click.option(
    "--backend",
    type=BackendName(),
    default="auto",
    show_default=True,
    help="What for, with its settings, such as tensorrt:precision=fp16; auto is what scripts take.",
)
@click.option("--bits", type=click.IntRange(8, 16), multiple=True, help="With --size; may be repeated.  [default: 8]")
@debug_option
@click.pass_context
def build(
    ctx: click.Context,
    clip: Path | None,
    size: tuple[int, int] | None,
    ratio: str,
    levels: tuple[float, ...],
    model: str | Path,
    look: str,
    backend: "BackendConfig | None",
    bits: tuple[int, ...],
) -> None:
    """Compile all networks that a script will ask for, so that it need not.

    --size is the size of the OUTPUT, because that is what networks run on. Only those that enlarge by themselves run on
    the input, whose size then follows from --ratio.

    \b
    Examples:
      vs-srcomp engines build --clip in.mkv
      vs-srcomp engines build --size 1920x1080
      vs-srcomp engines build --size 3840x2160 --ratio 4:3 --bits 8 --bits 10 --backend tensorrt
    """
    if (clip is None) == (size is None):
        raise click.UsageError("Give either --clip or --size.")
    if clip and bits:
        raise click.UsageError("--bits goes with --size: a clip has its own.")
    check_model(model, look, ratio, "auto")
    from vs_srcomp.backends.base import StoringBackend
    from vs_srcomp.backends.choice import default_backend
    from vs_srcomp.geometry import ratio_by_name
    from vs_srcomp.source.media import local_file

    if clip:
        local_file(clip)
    with core_log_on_stderr():
        runner = backend or default_backend()
        if not isinstance(runner, StoringBackend):
            _say(f"{type(runner).__name__} stores nothing: it compiles at each start, and there is nothing to prepare")
            return
        chosen = ratio_by_name(ratio)
        pictures = _pictures_of_clip(clip, chosen) if clip else _pictures_of_size(size or (0, 0), bits or (8,), chosen)
        tasks = [
            (name, network, picture.small if network.enlarges else picture.large)
            for name, network in _networks(model, look, chosen, levels)
            for picture in pictures
        ]
        if not _build_all(tasks, runner):
            ctx.exit(1)


@engines.command(short_help="Remove them.")
@click.option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Those not used for so many days.")
@click.option("--all", "everything", is_flag=True, help="All of them, and what was measured for them.")
@debug_option
@click.pass_context
def clear(ctx: click.Context, older_than: float | None, everything: bool) -> None:
    """Remove compiled networks. Those that are just being made are left, and so are files of other programs.

    \b
    Examples:
      vs-srcomp engines clear --older-than 30
      vs-srcomp engines clear --all
    """
    if (older_than is None) == (not everything):
        raise click.UsageError("Give either --older-than or --all.")
    from rich.filesize import decimal

    from vs_srcomp.engine_folder import engines_folder, remove, remove_idle_locks, remove_timings

    before = time.time() - (older_than or 0) * _DAY
    number = size = failures = 0
    for engine in _stored():
        if not everything and engine.used > before:
            continue
        name = _title(engine)
        try:
            if not remove(engine):
                _say(f"{name}: left, it is in use")
                continue
        except OSError as reason:
            _say(f"{name}: cannot be removed: {reason}")
            failures += 1
            continue
        _say(f"{name}: removed")
        number += 1
        size += engine.bytes
    if everything and engines_folder().is_dir():
        remove_idle_locks()
        remove_timings()
    _say(f"{_counted(number)} removed from {engines_folder()}, {decimal(size)}")
    if failures:
        ctx.exit(1)


@dataclass(frozen=True)
class _Picture:
    """What a network may run on: the planes before and after upscaling."""

    small: "PlaneFormat"
    large: "PlaneFormat"


def _pictures_of_clip(path: Path, ratio: "Ratio") -> list[_Picture]:
    import vapoursynth as vs

    import vs_srcomp
    from vs_srcomp.backends.base import PlaneFormat
    from vs_srcomp.geometry import scaled_size

    clip = vs_srcomp.source(path)
    # As upscale() does: the network sees float luma as codes of 16 bits.
    bits = clip.format.bits_per_sample if clip.format.sample_type == vs.INTEGER else 16
    subsampling = clip.format.subsampling_w, clip.format.subsampling_h
    width, height = scaled_size(clip.width, clip.height, ratio.factor, *subsampling)
    return [_Picture(PlaneFormat(clip.width, clip.height, bits), PlaneFormat(width, height, bits))]


def _pictures_of_size(size: tuple[int, int], depths: Sequence[int], ratio: "Ratio") -> list[_Picture]:
    from vs_srcomp.backends.base import PlaneFormat
    from vs_srcomp.geometry import scaled_size

    small = scaled_size(*size, 1 / ratio.factor, 0, 0)
    return [_Picture(PlaneFormat(*small, bits), PlaneFormat(*size, bits)) for bits in dict.fromkeys(depths)]


def _networks(model: str | Path, look: str, ratio: "Ratio", levels: Sequence[float]) -> Iterator[tuple[str, "Network"]]:
    """Names and networks for ``levels``, or for all."""
    from vs_srcomp.geometry import QUANTIZERS, nearest_quantizer
    from vs_srcomp.models import network_for

    made = set()
    for level in sorted({nearest_quantizer(level) for level in levels} or QUANTIZERS):
        name, network = network_for(model, ratio, level, look)
        if network not in made:
            made.add(network)
            yield network.name or name, network


def _build_all(tasks: Sequence[tuple[str, "Network", "PlaneFormat"]], runner: "BackendConfig") -> bool:
    """Prepare the networks one by one, and tell of each; whether all of them are stored."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from vs_srcomp.engine_cache import prepare

    console = stderr()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    complete = True
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(tasks))
        for name, network, plane in tasks:
            title = f"{name}, {plane.width}x{plane.height}, {plane.bits} bits"
            bar.update(task, description=title)
            outcomes: list[Outcome] = []
            begin = time.monotonic()
            prepare(network, runner, plane, outcomes.append)
            # Some fail before the engine fits: they were tried in larger tiles.
            outcome = outcomes[-1]
            if outcome == "made":
                _say(f"{title}: made in {time.monotonic() - begin:.1f} s")
            else:
                _say(f"{title}: {'is there' if outcome == 'found' else 'compiled, but not stored'}")
            complete &= outcome != "not stored"
            bar.advance(task)
    return complete


def _stored() -> list["StoredEngine"]:
    from vs_srcomp.engine_folder import VARIABLE, stored_engines
    from vs_srcomp.errors import error

    try:
        return stored_engines()
    except OSError as reason:
        raise error(
            f"the folder of compiled networks cannot be read: {reason}", f"set {VARIABLE} to another folder"
        ) from reason


def _facts(engine: "StoredEngine") -> dict[str, Any]:
    facts: dict[str, Any] = {"file": str(engine.path), "bytes": engine.bytes, "used": _moment(engine.used)}
    if engine.header is None:
        return {**facts, "problem": engine.problem}
    return {**facts, "model": engine.header.model, "created": _moment(engine.header.created), **engine.header.key}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _print_table(found: Sequence["StoredEngine"]) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("backend")
    for numeric in ("size", "bits", "file", "age", "last used"):
        table.add_column(numeric, justify="right", no_wrap=True)
    now = time.time()
    for engine in found:
        used = f"{_span(now - engine.used)} ago"
        if engine.header is None:
            table.add_row(engine.path.name, engine.problem, "-", "-", decimal(engine.bytes), "-", used)
            continue
        key = engine.header.key
        size = "{width}x{height}".format(**key["plane"])
        age = _span(now - engine.header.created)
        bits = str(key["plane"]["bits"])
        table.add_row(_model(engine), key["backend"], size, bits, decimal(engine.bytes), age, used)
    console = Console()
    (console if console.is_terminal else Console(width=_PLAIN_WIDTH)).print(table)


def _title(engine: "StoredEngine") -> str:
    if engine.header is None:
        return engine.path.name
    key = engine.header.key
    return "{}, {}, {width}x{height}, {bits} bits".format(_model(engine), key["backend"], **key["plane"])


def _model(engine: "StoredEngine") -> str:
    assert engine.header is not None
    return engine.header.model or f"sha256 {engine.header.key['network'][:12]}"


def _span(seconds: float) -> str:
    for unit, name in ((_DAY, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            number = int(seconds / unit)
            return f"{number} {name}{'s' if number > 1 else ''}"
    return "moments"


def _counted(number: int) -> str:
    return f"{number} engine{'' if number == 1 else 's'}"


def _say(line: str) -> None:
    stderr().print(line, markup=False, highlight=False, soft_wrap=True)
