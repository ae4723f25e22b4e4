"""Streams to parse: real ones next to the checkout, and small ones made on demand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vs_srcomp.av1.frame import uncompressed_header
from vs_srcomp.av1.state import FrameHeader

from .streams import RECIPES, make_stream

_REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "av1"
_REFUSED = {"sample_av1c_fragmented_clearkey.mp4"}  # encrypted: FFmpeg cannot demux it

REAL_STREAMS = sorted(path for path in _REAL.glob("*") if path.suffix != ".json" and path.name not in _REFUSED)
"""Every stream there that can be demuxed; none where the material is absent."""


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch) -> list[FrameHeader]:
    """Collects every frame header that is parsed."""
    seen: list[FrameHeader] = []

    def collect(*args: Any) -> FrameHeader:
        seen.append(uncompressed_header(*args))
        return seen[-1]

    monkeypatch.setattr("vs_srcomp.av1.parser.uncompressed_header", collect)
    return seen


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the stream of a recipe, once per session."""
    folder = tmp_path_factory.mktemp("av1")
    paths: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in paths:
            paths[name] = make_stream(RECIPES[name], folder, name)
        return paths[name]

    return make
