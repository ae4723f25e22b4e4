"""A stand-in for mpv's filter, kept beside the checkout; and mpv itself, where there is one that has the filter."""

import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "vs_srcomp" / "mpv" / "srcomp.vpy"
STAND_IN = ROOT.parent / "shared" / "tools" / "mpv_host.py"

type Playing = Callable[..., Any]


@pytest.fixture(scope="session")
def stand_in() -> ModuleType:
    """The module with the class ``Host``, which behaves as mpv was seen to do."""
    if not STAND_IN.is_file():
        pytest.skip(f"the stand-in for mpv is not there: {STAND_IN}")
    spec = importlib.util.spec_from_file_location("mpv_host", STAND_IN)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def mpv() -> str:
    """The path of an mpv with the filter."""
    found = which("mpv")
    if (
        found is None
        or "vapoursynth" not in subprocess.run([found, "--vf=help"], capture_output=True, text=True).stdout
    ):
        pytest.skip("there is no mpv with the vapoursynth filter: make test-mpv builds one")
    return found
