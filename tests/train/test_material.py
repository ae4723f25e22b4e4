from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.material import gather
from train.recipe import Recipe


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for level in range(0, 250, 50):
        Image.fromarray(np.full((32, 64, 3), level, np.uint8)).save(folder / f"{level}.png")
    return folder


def test_smaller_pictures_are_learned_from_but_not_measured_on(pictures: Path, tmp_path: Path) -> None:
    plain = Recipe(tier="fast", pair="2by1-q40", stride=2, channels=8, layers=3, steps=1, batch=2, valid_share=0.4)
    scaled = Recipe(**{**vars(plain), "scales": (1.0, 0.5)})
    material = gather(pictures, tmp_path / "streams", [plain, scaled])
    shapes = [pair.original.shape for pair in material.train(scaled)]
    assert shapes == [(32, 64)] * 3 + [(16, 32)] * 3
    assert [pair.original.shape for pair in material.train(plain)] == [(32, 64)] * 3

    # What is measured on is seen at no scale.
    for recipe in (plain, scaled):
        valid = material.valid(recipe)
        assert [pair.original.shape for pair in valid] == [(32, 64)] * 2
        learned, measured = ({int(pair.original[0, 0]) for pair in pairs} for pairs in (material.train(recipe), valid))
        assert len(learned) == 3
        assert not learned & measured
