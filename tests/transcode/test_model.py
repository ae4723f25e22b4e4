"""The networks that the package carries."""

from pathlib import Path

import pytest

import vs_srcomp
from tests.transcode.conftest import Upscaled


def test_the_default_tier(film: Path, upscaled: Upscaled, tmp_path: Path) -> None:
    found = [model for model in vs_srcomp.models() if (model.tier, model.ratio) == ("fast", "2:1")]
    if not found:
        pytest.skip("the package carries no fast models for 2:1")
    result = upscaled(film, tmp_path / "out.mkv", model="fast", q=found[0].q)
    assert result.models == {found[0].name: 40}
