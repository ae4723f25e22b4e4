"""docs/results/systems.md: tables, crops side by side, curves."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from train.networks import NETWORKS
from train.recipe import Recipe, load_recipe
from train.run import Run, read_log
from train.systems.experiments import CODECS, QUALITIES, TRACKS, Ground
from train.systems.scores import Score, mean
from vs_srcomp.files import write_atomically

SETS = ("set5", "set14", "kodak", "clic")

# Gains over bicubic on Set14 at scale 2 in the papers, in dB.
EXPECTED = {"srcnn": 2.0, "fsrcnn-2x": 2.2, "edsr-2x": 3.0}
TOLERANCE = 0.5
# Why a network stays further below its paper.
REASONS = {"srcnn": "one network serves scales 2, 3 and 4 here, the paper has one for each and trains it for days"}


def write_report(ground: Ground, runs: Path, recipes: Path, out: Path, pictures: Sequence[str]) -> None:
    """Write the report on all scores of the pictures of this run to ``out``.

    Args:
        ground: Gives the scores.
        runs: Folder of runs, with their logs.
        recipes: Folder of the systems' recipes.
        out: The Markdown file.
        pictures: PNG files and their titles, as "file|title", relative to ``out``.

    Raises:
        ValueError: Methods of an experiment were measured on different pictures.
    """
    parts = [
        f"{_HEAD}\n\n{_taken(ground)}",
        _networks(runs, recipes),
        _line(_scores(ground, "line")),
        _espcn(_scores(ground, "espcn")),
        _fd_srcnn(_scores(ground, "fd-srcnn")),
        _cisr_psi(_scores(ground, "cisr-psi")),
        _av1(_scores(ground, "av1")),
        _pictures(pictures, out.parent),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    text = wrapped("\n\n".join(part for part in parts if part)) + "\n"
    write_atomically(out, text.encode())


def _scores(ground: Ground, experiment: str) -> list[Score]:
    """The scores of an experiment on the pictures of this run: an earlier one may have had more.

    Raises:
        ValueError: Methods were measured on different pictures.
    """
    names = {name: ground.names(name) for name in SETS}
    # Those of sets that are not there, and of videos, stay.
    scores = [
        score
        for score in ground.book(experiment).scores
        if not names.get(score.set) or score.picture in names[score.set]
    ]
    pictures: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for score in scores:
        of_case = pictures.setdefault((score.set, score.degradation, score.scale), {})
        of_case.setdefault(score.method, set()).add(score.picture)
    for (of_set, _, scale), of_methods in pictures.items():
        (first, expected), *others = of_methods.items()
        for method, found in others:
            if found != expected:
                raise ValueError(
                    f"{experiment}, {of_set}, scale {scale}: {method} and {first} were measured on different pictures: "
                    f"measure it again with --only {experiment} and the same --pictures"
                )
    return scores


_COLUMNS = 120

_HEAD = """# The systems of the papers, compared

`python -m train compare-systems` writes this page. The recipes in train/recipes/systems train all networks on luma, on
the same photographs; `espcn-2x-video` on frames of videos. PSNR and SSIM are those of papers: on BT.601 luma in limited
range, 8 bits, without a border as wide as the scale. The perceptual distance of the networks from SRCNN to ESRGAN is
shift-tolerant LPIPS of the middle of each picture, 128 pixels wide and high; less is better. "Twice" is a network of
scale 2 applied to its own answer. The inverse filter divides by what is left of each frequency, which for some is next
to nothing: it amplifies the rounding to 8 bits until no picture is left. Wiener's filter knows of the rounding."""


def _taken(ground: Ground) -> str:
    return (
        "Pictures of Set5 and Set14 are taken whole. Of Kodak and CLIC the middles are taken,\n"
        f"{ground.side} pixels wide and high, of the first {ground.pictures} pictures at most."
    )


def wrapped(text: str) -> str:
    """Wrap the paragraphs of ``text``, but not its tables and pictures."""
    return "\n".join(
        line if line.startswith(("|", "!", "<")) else textwrap.fill(line, _COLUMNS, break_on_hyphens=False)
        for line in text.split("\n")
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _methods(scores: Iterable[Score]) -> list[str]:
    return list(dict.fromkeys(score.method for score in scores))


def _networks(runs: Path, recipes: Path) -> str:
    rows = []
    for path in sorted(recipes.glob("*.toml")):
        recipe = load_recipe(path)
        run = Run(runs / recipe.name)
        if run.weights.exists():
            network = recipe.make_network()
            kilo = f"{network.macs_per_pixel / 1000:.1f}"
            paper = getattr(NETWORKS[str(recipe.network["name"])], "paper", "")
            rows.append([recipe.name, f"{network.parameter_count:,}", kilo, *_curve(recipe, run), paper])
    if not rows:
        return "No system is trained yet: `make systems`."
    head = (
        "system",
        "parameters",
        "kMAC per output pixel",
        "steps",
        "PSNR at the end",
        "gained in the last fifth",
        "paper",
    )
    return f"## What was trained\n\n{table(head, rows)}\n\n{_CURVE}"


_CURVE = """PSNR is that of the pictures that were kept from training; of networks that work on the enlarged
picture, the gain over Lanczos-5. What a run still gained in the last fifth of its steps says how much more of them
would help; the learning rate falls to zero there, which gains a little in any case."""


def _curve(recipe: Recipe, run: Run) -> list[str]:
    if not run.log.exists():
        return [f"{recipe.steps:,}", "", ""]
    points = [(int(row["step"]), float(row["valid_gain_db"])) for row in read_log(run.log)]
    if not points:
        return [f"{recipe.steps:,}", "", ""]
    last = points[-1][0]
    before = [gain for step, gain in points if step <= 0.8 * last]
    gained = f"{points[-1][1] - before[-1]:+.2f} dB" if before else ""
    end = f"{points[-1][1]:{'+' if recipe.make_network().scale == 1 else ''}.2f} dB"
    return [f"{last:,}", end, gained]


def _line(scores: list[Score]) -> str:
    if not scores:
        return ""
    parts = ["## From SRCNN to ESRGAN: bicubic degradation", _expected(scores)]
    for scale in ("2", "4"):
        of_scale = [score for score in scores if score.scale == scale]
        sets = [name for name in SETS if any(score.set == name for score in of_scale)]
        head = ["method", *(f"{name}: {what}" for name in sets for what in _measures(of_scale, name))]
        rows = []
        for method in _methods(of_scale):
            row = [method]
            for name in sets:
                own = [score for score in of_scale if (score.set, score.method) == (name, method)]
                row += [_number(mean(own, take), digits) for take, digits in _measures(of_scale, name).values()]
            rows.append(row)
        parts.append(f"### Scale {scale}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def _measures(scores: list[Score], of_set: str) -> dict[str, tuple[Callable[[Score], float | None], int]]:
    found: dict[str, tuple[Callable[[Score], float | None], int]] = {
        "PSNR": (lambda score: score.psnr, 2),
        "SSIM": (lambda score: score.ssim, 4),
    }
    if any(score.perceptual is not None for score in scores if score.set == of_set):
        found["distance"] = (lambda score: score.perceptual, 3)
    return found


def _expected(scores: list[Score]) -> str:
    """The gain of each network over bicubic on Set14 at scale 2, against that in its paper."""
    lines = []
    for method, gain in EXPECTED.items():
        mine = _gain([score for score in scores if (score.set, score.scale) == ("set14", "2")], method, "bicubic")
        if mine is not None:
            verdict = "within half a decibel"
            if mine <= gain - TOLERANCE:
                verdict = f"less than that by more than half a decibel ({REASONS.get(method, 'too few steps')})"
            lines.append(
                f"- {method}: {mine:+.2f} dB over bicubic on Set14 at scale 2; its paper {gain:+.1f}: {verdict}."
            )
    return "\n".join(lines)


def _gain(scores: list[Score], method: str, reference: str) -> float | None:
    """The mean gain in dB of one method over another on the same pictures."""
    psnr = {
        (score.set, score.picture, score.degradation, score.scale): score.psnr
        for score in scores
        if score.method == reference
    }
    gains = [
        score.psnr - psnr[key]
        for score in scores
        if score.method == method and (key := (score.set, score.picture, score.degradation, score.scale)) in psnr
    ]
    return sum(gains) / len(gains) if gains else None


def _by_columns(
    scores: list[Score], columns: Sequence[tuple[str, Callable[[Score], bool]]], *, reference: str | None = None
) -> str:
    """Mean PSNR of each method in each column; with a ``reference``, gains over it in all rows but its own."""
    rows = []
    for method in _methods(scores):
        row = [method]
        for _, belongs in columns:
            own = [score for score in scores if belongs(score)]
            if reference is None or method == reference:
                row.append(_number(mean([s for s in own if s.method == method], lambda score: score.psnr), 2))
            else:
                gain = _gain(own, method, reference)
                row.append("" if gain is None else f"{gain:+.2f}")
        rows.append(row)
    return table(["method", *(title for title, _ in columns)], rows)


def _espcn(scores: list[Score]) -> str:
    if not scores:
        return ""
    videos = list(dict.fromkeys(score.set for score in scores))
    columns = [
        (f"{video} x{scale}", lambda score, video=video, scale=scale: (score.set, score.scale) == (video, scale))
        for video in videos
        for scale in ("2", "4")
    ]
    text = "Frames of videos that nothing was trained on, blurred and decimated. x4 is two passes of x2. PSNR in dB."
    below = "\n".join(_below_lanczos(scores, name, videos) for name in ("espcn-2x", "espcn-2x-video"))
    return f"## ESPCN on video frames\n\n{text}\n\n{_by_columns(scores, columns)}\n\n{below}"


def _below_lanczos(scores: list[Score], name: str, videos: Sequence[str]) -> str:
    """A line about the videos on which the network ``name`` falls below Lanczos-5 at scale 2."""
    of_video = {video: [score for score in scores if (score.set, score.scale) == (video, "2")] for video in videos}
    gains = {video: _gain(own, name, "Lanczos-5") for video, own in of_video.items()}
    lost = [f"{video} ({gain:+.2f} dB)" for video, gain in gains.items() if gain is not None and gain < 0]
    return f"- {name} is below Lanczos-5 at scale 2 on {', '.join(lost) or 'none of them'}."


def _fd_srcnn(scores: list[Score]) -> str:
    if not scores:
        return ""
    merged = [_renamed(score) for score in scores]
    parts = [
        "## FD-SRCNN: tracks and scales\n\nPSNR in dB, SSIM in the second table. SRCNN knows the bicubic track alone. "
        "Compare the steps above as well: a run with fewer of them is further from its end."
    ]
    sets = [name for name in SETS if any(score.set == name for score in scores)]
    keys = [(of_set, track, scale) for of_set in sets for track in TRACKS for scale in ("2", "3", "4")]
    for take, digits in ((lambda score: score.psnr, 2), (lambda score: score.ssim, 4)):
        rows = []
        for method in _methods(merged):
            row = [method]
            for key in keys:
                own = [s for s in merged if (s.set, s.degradation, s.scale) == key and s.method == method]
                row.append(_number(mean(own, take), digits))
            rows.append(row)
        parts.append(table(["method", *(f"{of_set} {track} x{scale}" for of_set, track, scale in keys)], rows))
    return "\n\n".join(parts)


def _renamed(score: Score) -> Score:
    import dataclasses

    if not score.method.startswith("fd-srcnn"):
        return score
    name = "fd-srcnn without global shortcuts" if score.method.endswith("-local") else "fd-srcnn"
    return dataclasses.replace(score, method=name)


def _cisr_psi(scores: list[Score]) -> str:
    if not scores:
        return ""
    parts = [
        "## CISR-PSI: compressed pictures of unknown codec and quality\n\nKodak, half the size, coded by each codec at "
        'each quality. PSNR in dB of bicubic; of all others the gain over it. "edsr-2x-mixed" is plain '
        "super-resolution of the same size, trained on the same mixture; the steps of both are above. "
        '"a, b" applies a, then b.'
    ]
    for codec in CODECS:
        columns = [_degraded_by(f"{codec} {quality}") for quality in QUALITIES]
        parts.append(_by_columns(scores, columns, reference="bicubic"))
    columns = [_degraded_by("two services")]
    parts.append(
        "Through two services: JPEG 60 at the full size, then half the size by another filter, and WebP 45.\n\n"
        + _by_columns([score for score in scores if score.degradation == "two services"], columns, reference="bicubic")
    )
    return "\n\n".join(parts)


def _degraded_by(what: str) -> tuple[str, Callable[[Score], bool]]:
    """A column for one degradation."""
    return what, lambda score: score.degradation == what


def _av1(scores: list[Score]) -> str:
    if not scores:
        return ""
    cells = list(dict.fromkeys((score.scale, score.degradation) for score in scores))
    columns = [
        (
            f"{ratio} {level.removeprefix('AV1 ')}",
            lambda score, cell=(ratio, level): (score.scale, score.degradation) == cell,
        )
        for ratio, level in cells
    ]
    text = (
        "Kodak through AV1 (libaom), BT.709 luma over the whole plane. PSNR in dB of Lanczos-5; of all others the gain "
        "over it. A network that enlarges by 2 or 4 gets the decoded picture, and Lanczos-5 brings its answer to the "
        "size of the original. Deconvolution needs a whole ratio. Of the systems of the papers, only cisr-psi-2x has "
        "seen compressed pictures in training."
    )
    return f"## All of them on AV1\n\n{text}\n\n{_by_columns(scores, columns, reference='Lanczos-5')}"


def _pictures(pictures: Sequence[str], folder: Path) -> str:
    parts = []
    for entry in pictures:
        file, _, title = entry.partition("|")
        page = Path(file).with_suffix(".html")
        more = f": [pictures]({page})" if (folder / page).exists() else ""
        parts.append(f"{title}{more}\n\n![{title}]({file})")
    return "## Pictures\n\n" + "\n\n".join(parts) if parts else ""
