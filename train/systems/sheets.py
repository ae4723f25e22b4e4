"""Pictures of the report: crops side by side as PNG, whole pictures as HTML, curves of loss and PSNR."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from train.degradations import DEGRADATIONS
from train.degradations.degradation import Degraded, covered
from train.metrics import psnr
from train.run import Run, read_log
from train.systems.classic import Plane
from train.systems.experiments import Ground
from train.systems.methods import Methods, classic, made_of, single, twice
from train.systems.scores import middle

CROP, ZOOM, COLUMNS, TITLE = 96, 2, 5, 16


def write_sheets(ground: Ground, runs: Path, folder: Path) -> list[str]:
    """Write all PNG files, and HTML pages for those with crops, to ``folder``; return "file|title" of each.

    Sheets of test sets that are not there are left out: an experiment may need none of them.
    """
    trained, written = ground.trained, []
    folder.mkdir(parents=True, exist_ok=True)
    at_2 = single(trained, ("srcnn", "vdsr", "fsrcnn-2x", "edsr-2x"))
    at_4 = twice(trained, ("fsrcnn-2x",)) | single(trained, ("lapsrn-4x", "esrgan-4x-psnr", "esrgan-4x"))
    blind = single(trained, ("edsr-2x", "edsr-2x-mixed", "cisr-psi-2x"))
    lines = single(trained, ("espcn-2x", "espcn-2x-video"))
    for file, title, of_set, number, degradation, scale, methods in (
        ("line-2x.png", "Bicubic degradation, scale 2", "set14", 2, "bicubic", 2, at_2),
        ("line-4x.png", "Bicubic degradation, scale 4", "set14", 13, "bicubic", 4, at_4),
        ("espcn-2x.png", "Blur and decimation, scale 2", "kodak", 7, "blur-decimate", 2, lines),
        ("cisr-psi-2x.png", "JPEG of quality 20, scale 2", "kodak", 4, "jpeg", 2, blind),
    ):
        if methods and ground.names(of_set):
            pictures = [plane for _, plane in ground.set(of_set)]
            picture = pictures[min(number, len(pictures) - 1)]
            quality = {"lowest": 20, "highest": 20} if degradation == "jpeg" else {}
            degraded = DEGRADATIONS.make(degradation, ratio=scale, **quality)(picture, np.random.default_rng(1))
            ways = classic("nearest", "bicubic", "Lanczos-5") | methods
            sheet(covered(picture, degraded), degraded, ways, scale).save(folder / file, optimize=True)
            page = (folder / file).with_suffix(".html")
            write_page(covered(picture, degraded), degraded, ways, scale, title, page)
            written.append(f"{file}|{title}")
    if curves(runs, trained.names(), folder / "curves.png"):
        written.append("curves.png|Loss, and PSNR of pictures kept from training, against steps")
    return written


def sheet(original: Plane, degraded: Degraded, methods: Methods, scale: int) -> Image.Image:
    """Crops of the original and of each method's result, with names and the PSNR of the whole picture."""
    found = [("original", middle(original, CROP))]
    for name, way in made_of(methods):
        restored = way(degraded.input, scale)
        found.append((f"{name} {psnr(restored, original):.2f}", middle(restored, CROP)))
    side = CROP * ZOOM
    rows = -(-len(found) // COLUMNS)
    page = Image.new("L", (COLUMNS * (side + 4), rows * (side + TITLE + 4)), 255)
    pen = ImageDraw.Draw(page)
    for index, (title, crop) in enumerate(found):
        left, top = index % COLUMNS * (side + 4), index // COLUMNS * (side + TITLE + 4)
        pen.text((left + 2, top + 2), title, fill=0, font=ImageFont.load_default(11))
        enlarged = Image.fromarray(crop).resize((side, side), Image.Resampling.NEAREST)
        page.paste(enlarged, (left, top + TITLE))
    return page


def write_page(original: Plane, degraded: Degraded, methods: Methods, scale: int, title: str, target: Path) -> None:
    """Write the whole original and the results of the last methods as an HTML page."""
    import vapoursynth as vs

    from train.material.pictures import planes_to_clip
    from vs_srcomp.compare import Options, Side
    from vs_srcomp.compare import write_report as write
    from vs_srcomp.compare.report import MOST_SIDES

    def side(name: str, plane: Plane) -> Side:
        clip = planes_to_clip([np.ascontiguousarray(plane)], vs.GRAY8).std.SetFrameProps(_Range=vs.RANGE_FULL)
        return Side(name=name, clip=clip)

    ways = dict(list(methods.items())[1 - MOST_SIDES :])
    candidates = [side(name, way(degraded.input, scale)) for name, way in made_of(ways)]
    options = Options(metrics=["psnr"], title=title, command="python -m train compare-systems", overwrite=True)
    write(candidates, side("original", original), target, options)


def curves(runs: Path, names: Iterable[str], file: Path) -> bool:
    """Draw loss and PSNR of the runs ``names`` against steps; return whether there was anything to draw."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    logs = {name: _points(Run(runs / name).log) for name in names if Run(runs / name).log.exists()}
    logs = {name: points for name, points in logs.items() if len(points) > 1}
    if not logs:
        return False
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    loss, gain = figure.subplots(1, 2)
    for index, (name, points) in enumerate(logs.items()):
        steps, losses, gains = zip(*points, strict=True)
        colour = mpl.colormaps["tab20"](index % 20)
        share = np.array(steps) / steps[-1]
        loss.plot(share, losses, label=name, color=colour)
        # Relative to the end, so that networks for different scales fit into one picture.
        gain.plot(share, np.array(gains) - gains[-1], label=name, color=colour)
    loss.set(yscale="log", xlabel="share of the steps", title="loss")
    gain.set(ylim=(-1.5, 0.1), xlabel="share of the steps", title="PSNR less that at the end, dB")
    gain.legend(fontsize=6, ncols=2)
    figure.savefig(file, dpi=100)
    return True


def _points(log: Path) -> Sequence[tuple[int, float, float]]:
    """Step, loss and gain of each row of a run's log; ValueError if it is damaged."""
    return [(int(row["step"]), float(row["loss"]), float(row["valid_gain_db"])) for row in read_log(log)]
