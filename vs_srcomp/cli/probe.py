"""``vs-srcomp probe``: properties of a file, above all how strongly each AV1 frame was compressed."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vs_srcomp.cli.arguments import FileName
from vs_srcomp.cli.reports import debug_option

if TYPE_CHECKING:
    from rich.console import RenderableType

    from vs_srcomp.probe import Frame, Probe

# What --quick reads, in seconds; starting Python takes about as long.
_QUICK = 1.0

# Of what does not go to a terminal.
_PLAIN_WIDTH = 100

_BIN = 4
"""Width of a bar of the histograms, on the quantizer scale of 0 to 63."""


@click.command(short_help="Show how strongly a file was compressed.")
@click.argument("file", metavar="FILE", type=FileName())
@click.option("--json", "as_json", is_flag=True, help="Print everything, with an object for each frame, as JSON.")
@click.option("--quick", is_flag=True, help="Stop reading after a second; with --json, print a short form.")
@click.option("--plot", type=FileName(written=True), metavar="OUT.png", help="Draw a picture of it.")
@click.option("--overwrite", is_flag=True, help="Replace an existing picture.")
@debug_option
def probe(file: Path, as_json: bool, quick: bool, plot: Path | None, overwrite: bool) -> None:
    """Show what FILE is, and how strongly each of its frames was compressed.

    Headers are read, and a few frames decoded at most. AV1 has the strength of compression in its headers, and so have
    pictures in JPEG and WebP, on another scale (docs/stills.md); of all else it is not known.

    \b
    Examples:
      vs-srcomp probe in.mkv
      vs-srcomp probe in.mkv --json | jq '.frames[] | select(.type == "key")'
      vs-srcomp probe in.mkv --quick --json
      vs-srcomp probe in.mkv --plot quantizer.png
    """
    from vs_srcomp.named_files import check_new_output
    from vs_srcomp.plots import check_plot
    from vs_srcomp.probe import probe as read

    if plot:
        check_new_output(plot, file, overwrite=overwrite)
        check_plot(plot)
    found = read(file, seconds=_QUICK if quick else None)
    if plot:
        _draw(found, plot, overwrite=overwrite)
    if as_json:
        for line in _short_json(found) if quick else _json(found):
            click.echo(line)
    else:
        _print(found)


def _short_json(found: "Probe") -> Iterator[str]:
    scenes = [{"start": scene.start, "end": scene.end, "q": scene.q} for scene in found.scenes]
    yield json.dumps({"q": found.q, "complete": found.complete, "codec": found.codec, "scenes": scenes})


def _json(found: "Probe") -> Iterator[str]:
    """One JSON object, a frame in each line."""
    facts = {name: value for name, value in vars(found).items() if name != "frames"}
    facts["frame_rate"] = str(found.frame_rate) if found.frame_rate else None
    facts["q"] = found.q
    yield json.dumps(facts, indent=2)[:-2] + ',\n  "frames": ['
    for number, frame in enumerate(found.frames, 1):
        yield f"    {json.dumps(frame._asdict())}" + ("," if number < len(found.frames) else "")
    yield "  ]\n}"


def _print(found: "Probe") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_PLAIN_WIDTH)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in _facts(found):
        table.add_row(name, value)
    console.print(table)
    if not found.frames and found.codec != "av1":
        console.print(
            f"\nHow strongly {found.codec} frames were compressed is not known: no header has it. "
            "Give it with --q, or q= in a script, on libaom's scale of 0 to 63.",
            soft_wrap=True,
        )
        return
    for part in _charts(found, console.width) if found.codec == "av1" else ():
        console.print()
        console.print(part)


def _facts(found: "Probe") -> Iterator[tuple[str, str]]:
    """The first lines: a name and what there is to say."""
    from vs_srcomp.files import path_text

    yield "file", path_text(Path(found.file))
    yield "container", found.container
    bits = f", {found.bit_depth} bit" if found.bit_depth else ""
    yield (
        "video",
        f"{found.codec}, {found.width}x{found.height}{bits}"
        + (f", {found.pixel_format}" if found.pixel_format else ""),
    )
    yield "frames", _frames(found)
    if found.codec != "av1":
        if found.q is not None:
            yield "estimate", f"Q {found.q:.1f}, by what its quantizer is like in AV1"
        return
    known = [frame for frame in found.frames if frame.base_q_idx is not None]
    count = len(known)
    yield "", _counted(Counter(str(frame.type).replace("_", "-") for frame in known))
    if len(known) < len(found.frames):
        yield "", f"{len(found.frames) - len(known)} cannot be judged: their headers need frames that are not there"
    sizes = Counter(f"{frame.width}x{frame.height}" for frame in known)
    if len(sizes) > 1:
        yield "sizes", f"change, which upscale refuses: {_counted(sizes)}"
    grainy = sum(bool(frame.film_grain) for frame in known)
    yield (
        "film grain",
        f"in {grainy} frames" if grainy else "allowed, but in no frame" if found.may_have_film_grain else "none",
    )
    superres = [frame for frame in known if frame.superres_denom != 8]
    if superres:
        widths = Counter(f"8/{frame.superres_denom}" for frame in superres)
        yield "superres", f"coded narrower, worse than estimated: {_counted(widths)} of the width"
    if (found.spatial_layers or 1) > 1 or (found.temporal_layers or 1) > 1:
        yield "layers", f"{found.spatial_layers} spatial, {found.temporal_layers} temporal; the highest is shown"
    varying = sum(frame.min_q_idx != frame.max_q_idx for frame in known)
    deltas = sum(bool(frame.delta_q_present) for frame in known)
    if varying or deltas:
        yield "q varies", f"inside {varying} frames by segments, {deltas} by blocks, of {count}"
    if not count:
        return
    own = sorted(frame.base_q_idx for frame in known if frame.base_q_idx is not None)
    yield "base_q_idx", f"{own[0]} to {own[-1]}, median {own[count // 2]}" + (" (0: lossless)" if own[0] == 0 else "")
    estimates = sorted(frame.q for frame in known if frame.q is not None)
    yield "estimate", f"Q {estimates[0]:.1f} to {estimates[-1]:.1f}, median {found.q:.1f}"


def _frames(found: "Probe") -> str:
    if found.frame_count is not None:
        count = str(found.frame_count)
    elif found.complete:
        count = "known only after decoding"
    else:
        count = f"more than {len(found.frames)}, the rest is not read" if found.frames else "not counted"
    if found.variable_frame_rate is None:
        return count
    if found.frame_rate is None:
        return f"{count}, at a variable rate"
    return f"{count}, {float(found.frame_rate):.6g} a second"


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def _charts(found: "Probe", width: int) -> "Iterator[RenderableType]":
    known = [frame for frame in found.frames if frame.base_q_idx is not None]
    if known:
        yield _histograms(known, width)
        yield _course(found.frames, width)


def _histograms(known: "Sequence[Frame]", width: int) -> str:
    """Frames by base_q_idx and by estimate, beside each other."""
    own = Counter(_own_bin(frame) for frame in known)
    estimates = Counter(int((frame.q or 0) // _BIN) for frame in known)
    half = (width - 22) // 2
    lines = [f"{'Q':>5}  {'frames by base_q_idx / 4':<{half + 7}}frames by estimate"]
    bins = [*own, *estimates]
    for number in range(min(bins), max(bins) + 1):
        cells = (
            f"{_bar(counts[number], max(counts.values()), half)} {counts[number] or ''}" for counts in (own, estimates)
        )
        left, right = cells
        lines.append(f"{number * _BIN:>2}-{number * _BIN + _BIN - 1:>2}  {left:<{half + 7}}{right}".rstrip())
    return "\n".join(lines)


def _own_bin(frame: "Frame") -> int:
    """Where the Q of the frame's own base_q_idx is counted."""
    from vs_srcomp.geometry import quantizer_of_index

    return int(quantizer_of_index(frame.base_q_idx or 0) // _BIN)


def _bar(count: int, most: int, width: int) -> str:
    eighths = -(-count * width * 8 // most)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _course(frames: "Sequence[Frame]", width: int) -> str:
    """The quantizer over time: base_q_idx from lowest to highest, and the estimate, for each column of the screen."""
    columns = min(len(frames), width - 6)
    slices = [frames[len(frames) * i // columns : len(frames) * (i + 1) // columns] for i in range(columns)]
    grid = [[" "] * columns for _ in range(64 // _BIN)]
    for x, part in enumerate(slices):
        known = [frame for frame in part if frame.base_q_idx is not None and frame.q is not None]
        if not known:
            continue
        own = [_own_bin(frame) for frame in known]
        for y in range(min(own), max(own) + 1):
            grid[y][x] = "░"
        for frame in known:
            grid[int((frame.q or 0) // _BIN)][x] = "━"
    rows = [f"{y * _BIN:>4} {''.join(row).rstrip()}" for y, row in enumerate(grid)]
    used = [y for y, row in enumerate(grid) if any(cell != " " for cell in row)]
    lines = ["   Q over time: ░ base_q_idx / 4, ━ the estimate, ┃ key frames"]
    keys = "".join("┃" if any(frame.type == "key" for frame in part) else " " for part in slices)
    lines += reversed(rows[min(used) : max(used) + 1])
    lines.append(f"     {keys}".rstrip())
    times = [frame.time for frame in frames if frame.time is not None]
    if times:
        last = f"{times[-1]:.1f} s"
        lines.append(f"     {f'{times[0]:.1f} s':<{max(columns - len(last), 8)}}{last}")
    return "\n".join(lines)


def _draw(found: "Probe", target: Path, *, overwrite: bool) -> None:
    """Draw the quantizers over time."""
    from matplotlib.figure import Figure

    from vs_srcomp.errors import error
    from vs_srcomp.files import path_text
    from vs_srcomp.geometry import quantizer_of_index
    from vs_srcomp.plots import write_plot

    points = [
        (frame.time, quantizer_of_index(frame.base_q_idx), frame.q)
        for frame in found.frames
        if frame.time is not None and frame.base_q_idx is not None and frame.q is not None
    ]
    if not points:
        raise error(f"there is no quantizer to draw of {found.file!r}", "give a file with AV1 video")
    times, own, estimates = zip(*points, strict=True)
    figure = Figure(figsize=(12, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(times, own, ".", ms=3, color="0.6", label="base_q_idx / 4")
    axes.plot(times, estimates, drawstyle="steps-post", color="C3", label="estimate")
    axes.set(xlabel="seconds", ylabel="Q", ylim=(0, 63))
    axes.set_title(Path(path_text(Path(found.file))).name, parse_math=False)
    axes.legend(loc="upper right")
    write_plot(figure, target, overwrite=overwrite)
