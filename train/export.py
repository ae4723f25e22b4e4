"""Export of a trained network of this project as an ONNX file with its catalogue entry."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from train.catalogue import enter, read_entries
from train.material.coded import LEVEL_BANDS, Example
from train.material.patches import Patches
from train.networks.interpolated import InterpolatedStack
from train.networks.network import Network
from train.networks.plain import PlainStack
from train.onnx_levels import levels_to_onnx
from train.onnx_traced import network_to_onnx
from train.recipe import Recipe
from train.run import Run
from train.trained import RECIPES, network_of
from train.validation import remove_drift
from vs_srcomp.files import write_atomically
from vs_srcomp.geometry import QUANTIZERS
from vs_srcomp.models.catalogue import SYSTEM
from vs_srcomp.models.inspection import read_network
from vs_srcomp.models.level import at_level


def export_run(
    recipe: Recipe,
    recipe_path: Path,
    valid: Callable[[], Sequence[Example]],
    runs: Path,
    engines: Path,
    licence: str,
) -> str:
    """Export the finished run of ``recipe`` to the folder ``engines``; returns a line about the files written.

    Of a network that takes the level, the mean residual over the validation set, ``valid()``, is subtracted first. The
    run's log is copied to train/runs, so that it is committed with the model; of a draft only the log is kept. A run
    without steps has no log, and its start is exported unchanged. ``licence`` is that of the training material.

    Raises:
        ValueError: The run is not finished, or the package cannot play such a network.
    """
    network = network_of(recipe, runs)
    read_entries(engines / "models.json")  # reports damage before anything is written
    if network.channels != 1:
        what = f"{recipe.name} takes {network.channels} channels"
        raise ValueError(f"{what}: upscale plays networks for luma alone (channels = 1); others are evaluated in train")
    takes_level = isinstance(network, PlainStack | InterpolatedStack)
    if takes_level and recipe.ratio is None:
        raise ValueError(f"{recipe.name} is not exported: networks that take a level are for pictures coded with AV1")
    if takes_level and recipe.steps and not recipe.is_draft:
        remove_drift(network, valid(), torch.device("cpu"))
    if recipe.steps:
        history = history_of(recipe_path)
        history.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Run(runs / recipe.name).log, history / f"{recipe.name}.csv")
    if recipe.is_draft:
        return f"{recipe.name}: a draft, only its log is kept"
    if not isinstance(network, PlainStack | InterpolatedStack):
        return export_system(network, recipe, recipe_path, engines, licence)
    assert recipe.ratio is not None
    kind = {
        "system": SYSTEM,
        "tier": recipe.tier,
        "ratio": recipe.ratio.name,
        "scale": 1,
        "look": recipe.look,
        "levels": _levels_of(recipe),
    }
    return _install(levels_to_onnx(network, recipe.name), network, kind, recipe, recipe_path, engines, licence)


def _levels_of(recipe: Recipe) -> list[int]:
    """Lowest and highest level of the material."""
    if isinstance(recipe.make_material(), Patches):
        return [QUANTIZERS[0], QUANTIZERS[-1]]
    return [min(low for low, _ in LEVEL_BANDS), max(high for _, high in LEVEL_BANDS)]


def history_of(recipe_path: Path) -> Path:
    """Folder of the logs for ``recipe_path``: ``train/runs/systems`` for recipes in ``train/recipes/systems``.

    Logs of a recipe from elsewhere go beside it.
    """
    folder, ours = recipe_path.resolve().parent, RECIPES.resolve()
    return ours.with_name("runs") / folder.relative_to(ours) if folder.is_relative_to(ours) else recipe_path.parent


def _shown(recipe_path: Path) -> str:
    """The path of a recipe in the repository; the name alone of one from elsewhere."""
    path, ours = recipe_path.resolve(), RECIPES.resolve()
    return path.relative_to(ours.parents[1]).as_posix() if path.is_relative_to(ours) else path.name


def export_system(network: Network, recipe: Recipe, recipe_path: Path, engines: Path, licence: str) -> str:
    """Export the trained ``network`` of a paper's system in half precision; returns the line of `export_run`."""
    kind = {"system": recipe.network["name"], "scale": network.scale, "levels": None}
    return _install(network_to_onnx(network, recipe.name), network, kind, recipe, recipe_path, engines, licence)


def _install(
    data: bytes,
    network: Network,
    kind: Mapping[str, Any],
    recipe: Recipe,
    recipe_path: Path,
    engines: Path,
    licence: str,
) -> str:
    """Write the file ``data`` of ``network`` and its entry, which begins with ``kind``; the line of `export_run`."""
    file = f"{recipe.name}.onnx"
    with TemporaryDirectory() as folder:  # before anything that is installed changes
        (own := Path(folder, file)).write_bytes(data)
        field = read_network(own).receptive_field
    entry = {
        "name": recipe.name,
        "file": file,
        "sha256": hashlib.sha256(data).hexdigest(),
        **kind,
        "parameters": network.parameter_count,
        "macs_per_pixel": network.macs_per_pixel,
        "stride": network.stride,
        # That of the exported graph; that of the class may be an upper bound.
        "receptive_field": field,
        "recipe": _shown(recipe_path),
        "ranges": [],
        "gain_db": {},
        "licence": licence,
    }
    # One right after the other: a file that is not the one in the catalogue counts as damaged.
    write_atomically(engines / file, data)
    enter(entry, engines / "models.json")
    kilo = network.macs_per_pixel / 1000
    return f"{recipe.name}: {network.parameter_count} parameters, {kilo:.1f} kMAC/pixel, {len(data) / 1e6:.2f} MB"


def export_levels(recipe: Recipe, engines: Path, levels: Sequence[float], out: Path) -> Iterator[Path]:
    """Write the exported model of ``recipe`` to ``out`` as one plain network for each of ``levels``.

    ``NAME-q20.onnx`` takes only a picture, like the networks of the original scheme, and has the result of playback at
    that level: scales, shifts and interpolation are folded into the convolutions.

    Raises:
        ValueError: The model is not exported, or takes no level.
    """
    file = engines / f"{recipe.name}.onnx"
    if recipe.degradation["name"] != "av1":
        raise ValueError(f"{recipe.name} knows no levels")
    if not file.exists():
        raise ValueError(f"{file} is not there: export {recipe.name} first")
    onnx_file = file.read_bytes()
    out.mkdir(parents=True, exist_ok=True)
    for level in levels:
        target = out / f"{recipe.name}-q{level:g}.onnx"
        write_atomically(target, at_level(onnx_file, level))
        yield target
