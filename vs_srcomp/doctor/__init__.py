"""Checks of everything that scripts and networks need."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import which

import vapoursynth as vs

import vs_srcomp
from vs_srcomp.doctor.configuration import Installation, check_configuration, check_folder, configuration_path
from vs_srcomp.doctor.finding import Finding
from vs_srcomp.doctor.inference import backend_checks, check_models
from vs_srcomp.doctor.programs import check_mpv, check_player_script, check_vspipe
from vs_srcomp.models import Model

__all__ = ["Finding", "checks"]

OLDEST_PYTHON = 3, 12
OLDEST_VAPOURSYNTH = 80


def checks() -> Sequence[Callable[[], Finding]]:
    """All checks, in the order in which they depend on one another."""
    from vapoursynth._utils import _find_python_symbol_path, get_vsscript

    library = Path(get_vsscript())
    shared = _find_python_symbol_path()
    installation = Installation(library=library, python=Path(sys.executable), shared=Path(shared) if shared else None)
    path, models = configuration_path(os.environ), _models()
    return (
        lambda: check_python(sys.version_info[:3], installation.shared),
        lambda: check_vapoursynth(vs.__version__.release_major, library.parent),
        lambda: check_folder(path),
        lambda: check_configuration(path, installation),
        lambda: check_vspipe(library.with_name("vspipe"), os.environ),
        lambda: check_mpv(which("mpv"), library, os.environ),
        lambda: check_player_script(os.environ),
        lambda: check_models(models),
        *backend_checks(next(iter(models), None)),
    )


def _models() -> Sequence[Model]:
    """The installed networks; none if their catalogue cannot be read."""
    try:
        return vs_srcomp.models()
    except (OSError, vs.Error):
        return ()


def check_python(version: tuple[int, ...], shared: Path | None) -> Finding:
    """Whether the interpreter is new enough, and whether other programs can load it."""
    message = f"{'.'.join(map(str, version))}, {sys.executable}"
    if version < OLDEST_PYTHON:
        return Finding(name="Python", state="broken", message=message, remedy="3.12 or newer is needed")
    if shared is None:
        remedy = "apt install libpython3-dev, or build Python with --enable-shared"
        return Finding(
            name="Python",
            state="broken",
            message=f"{message}: no shared libpython, which vspipe and mpv load",
            remedy=remedy,
        )
    return Finding(name="Python", state="fine", message=f"{message}, {shared}")


def check_vapoursynth(release: int, folder: Path) -> Finding:
    """Whether VapourSynth is new enough."""
    message = f"R{release}, {folder}"
    if release < OLDEST_VAPOURSYNTH:
        remedy = f"pip install 'vapoursynth>={OLDEST_VAPOURSYNTH}'"
        return Finding(name="VapourSynth", state="broken", message=message, remedy=remedy)
    return Finding(name="VapourSynth", state="fine", message=message)
