"""Picture files: what is read of them, and what is refused."""

from pathlib import Path

import pytest
from PIL import Image

from train.material.pictures import read_rgb8, size_of


@pytest.mark.parametrize("limit", [64 * 64 - 1, 64 * 64 // 2 - 1])
def test_a_picture_above_the_size_limit_is_named(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (64, 64)).save(path)
    assert size_of(path) == (64, 64)
    # Pillow warns above its limit, and raises above twice of it.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    for read in (size_of, read_rgb8):
        with pytest.raises(ValueError, match=r"large\.png: not a readable picture \(Image size"):
            read(path)
