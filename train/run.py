"""The files of a training run: checkpoint, log and curves, all written atomically."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from vs_srcomp.files import atomic_path
from vs_srcomp.geometry import RATIOS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG_FIELDS = ("step", "learning_rate", "loss", "valid_gain_db")


@dataclass(frozen=True)
class Run:
    """Paths of a training run."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """State to resume from."""
        return self.folder / "checkpoint.safetensors"

    @property
    def weights(self) -> Path:
        """The averaged weights of the finished run."""
        return self.folder / "weights.safetensors"

    @property
    def log(self) -> Path:
        """Log with one row per validation."""
        return self.folder / "log.csv"

    @property
    def curves(self) -> Path:
        """The log as a picture."""
        return self.folder / "curves.png"


def save_weights(path: Path, network: nn.Module, recipe: str | None = None) -> None:
    """Write the weights of ``network``, made by the recipe whose digest of weights is ``recipe``."""
    _save_tensors(path, _contiguous(network), None if recipe is None else {"recipe": recipe})


def _save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> None:
    """Write a safetensors file; ValueError if that fails, as on a full disk."""
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as reason:
            raise ValueError(f"{path} cannot be written ({reason}); make space, or choose another folder") from reason


def read_weights(path: Path, name: str, recipe: str | None = None) -> dict[str, Tensor]:
    """The weights of the run ``name`` that `save_weights` wrote.

    Args:
        path: The file.
        name: Name of the run.
        recipe: The digest of weights that they must have, unless they have none, as those of merged networks.

    Raises:
        ValueError: The file is damaged, or the weights are of another recipe.
    """
    try:
        with safe_open(path, "pt") as file:
            made_by = (file.metadata() or {}).get("recipe")
        weights = load_file(path)
    except SafetensorError as reason:
        raise ValueError(f"{path} is damaged ({reason}); remove it and train {name} again") from reason
    if None not in (recipe, made_by) and made_by != recipe:
        raise ValueError(f"{path} is of another recipe {name}; run `python -m train fit` again")
    return weights


@dataclass(frozen=True)
class Origin:
    """What a run depends on: it is resumed only with the same."""

    recipe: str
    """The recipe's digest."""
    pictures: str = ""
    """Digest of the names of the validation pictures, which depend on all pictures; empty if not known."""
    weights: str = ""
    """Digest of the weights of the runs that it starts from or learns from; empty if not known."""


def save_checkpoint(
    path: Path, networks: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer], step: int, origin: Origin
) -> None:
    """Write networks and the states of optimisers by name, after ``step`` steps."""
    tensors = {
        f"{name}.{key}": value for name, network in networks.items() for key, value in _contiguous(network).items()
    }
    for of, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{of}.{index}.{name}": value.contiguous() for name, value in state.items()}
    _save_tensors(path, tensors, {"step": str(step), **asdict(origin)})


def load_checkpoint(
    path: Path, networks: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer], origin: Origin
) -> int:
    """Restore the state of ``save_checkpoint``. Returns the number of finished steps.

    Raises:
        ValueError: See `checkpoint_step`.
    """
    step = checkpoint_step(path, origin)
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    for name, network in networks.items():
        network.load_state_dict(_with_prefix(tensors, f"{name}."))
    for of, optimizer in optimizers.items():
        _restore(optimizer, _with_prefix(tensors, f"{of}."))
    return step


def checkpoint_step(path: Path, origin: Origin) -> int:
    """The number of finished steps of a checkpoint, which must have this origin.

    Raises:
        ValueError: It has another origin, or is not a checkpoint.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as reason:
        raise ValueError(f"{path} is not a checkpoint ({reason}); remove it to start again") from reason
    name, again = path.parent.name, f"remove {path.parent} to start again"
    if metadata.get("recipe") != origin.recipe:
        raise ValueError(f"{name} was begun under another recipe; {again}")
    for what, now, before in (
        ("with other pictures, of which some for training would be for validation now", origin.pictures, "pictures"),
        ("from other weights of the runs that it needs", origin.weights, "weights"),
    ):
        if now and metadata.get(before, "") not in ("", now):
            raise ValueError(f"{name} was begun {what}; {again}")
    if not metadata.get("step", "").isdecimal():
        raise ValueError(f"{path} is not a checkpoint; remove it to start again")
    return int(metadata["step"])


def _restore(optimizer: Optimizer, state: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, value in state.items():
        index, key = int(name.split(".")[0]), name.split(".")[1]
        parameter = parameters[index]
        # The optimiser needs the same memory layout for a parameter and its moments.
        like = torch.empty_like(parameter) if value.ndim else torch.empty((), device=parameter.device)
        optimizer.state[parameter][key] = like.copy_(value)


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _contiguous(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().contiguous() for name, value in network.state_dict().items()}


def start_log(path: Path, first_step: int) -> None:
    """Remove rows after ``first_step``, since work after the checkpoint is repeated, and a last row without its end.

    A killed run may leave one: rows are written before the checkpoint.

    Raises:
        ValueError: See `read_log`.
    """
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = [line.decode(errors="replace") for line in lines if line.endswith(b"\n")]
    rows = [row for row in _rows(whole, path) if int(row["step"]) <= first_step]
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, LOG_FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def append_log(path: Path, row: Iterable[object]) -> None:
    """Add one row, in the order of ``LOG_FIELDS``."""
    with path.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(row)


def read_log(path: Path) -> list[dict[str, str]]:
    """The rows of a log; ValueError if it is damaged."""
    with path.open(newline="") as file:
        return _rows(file, path)


def _rows(lines: Iterable[str], path: Path) -> list[dict[str, str]]:
    """The rows of the ``lines`` of the log at ``path``; ValueError as in `read_log`."""
    rows = list(csv.DictReader(lines))
    try:
        for row in rows:
            [float(row[field]) for field in LOG_FIELDS]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path} is not a log of a run: it needs {', '.join(LOG_FIELDS)} in each row") from None
    return rows


def draw_curves(log: Path, target: Path, title: str, *, enlarges: bool = False) -> None:
    """Draw loss and validation gain over the steps as a PNG; PSNR, not gain, if the network ``enlarges``."""
    from matplotlib.figure import Figure

    rows = read_log(log)
    steps, losses, gains = ([float(row[field]) for row in rows] for field in ("step", "loss", "valid_gain_db"))
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    loss_axes = figure.add_subplot(title=title, xlabel="step", ylabel="loss")
    loss_axes.plot(steps, losses, "o-", markersize=3, color="tab:gray", label="loss")
    gain_axes = loss_axes.twinx()
    measured = "PSNR" if enlarges else "gain"
    gain_axes.plot(steps, gains, "o-", markersize=3, color="tab:blue", label=f"{measured} on validation pictures")
    gain_axes.set_ylabel("PSNR, dB" if enlarges else "gain over Lanczos-5, dB", color="tab:blue")
    _save(figure, target)


def draw_gains(logs: Iterable[Path], target: Path) -> None:
    """Draw the validation gain of several runs over their steps, with the ratios of a tier and a look in one panel."""
    from matplotlib.figure import Figure

    groups: dict[str, list[tuple[str, Path]]] = {}
    for log in sorted(logs):
        group, label = _panel_of(log.stem)
        groups.setdefault(group, []).append((label, log))
    figure = Figure(figsize=(4 * len(groups), 3), layout="constrained")
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, (group, members) in zip(panels, groups.items(), strict=True):
        axes.set(title=group, xlabel="step")
        for label, log in members:
            rows = read_log(log)
            steps, gains = ([float(row[field]) for row in rows] for field in ("step", "valid_gain_db"))
            axes.plot(steps, gains, "o-", markersize=2, label=label)
        axes.legend(loc="lower right")
    panels[0].set_ylabel("gain over Lanczos-5 (enlarging: PSNR), dB")
    _save(figure, target)


def _panel_of(run: str) -> tuple[str, str]:
    """The panel for a run and its label there: the ratio, or the end of the name."""
    for ratio in RATIOS:
        if f"-{ratio.slug}" in run:
            return run.replace(f"-{ratio.slug}", ""), ratio.name
    group, _, label = run.rpartition("-")
    return group, label


def _save(figure: "Figure", target: Path) -> None:
    from PIL import Image

    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        figure.savefig(temporary, dpi=80, format="png")
        with Image.open(temporary) as drawn:
            few_colours = drawn.convert("RGB").quantize(32)
        few_colours.save(temporary, format="png", optimize=True)
