"""Crops of more pictures than memory holds."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.examples import changed
from tests.train.photographs import photograph
from train.fit import fit
from train.material.coded import Example
from train.material.crops import CropBank
from train.material.gather import gather
from train.material.picture_data import MEASURED
from train.material.stream import CropStream, Stream, open_crops
from train.parallel import Team
from train.run import Run

CPU = torch.device("cpu")
DOUBLER = {"name": "fsrcnn", "scale": 2}
SMALL = {"name": "bicubic", "ratio": 2}

SET = 40_040
"""Files of the largest set that the project has been asked about: frames of a film."""


def numbered(item: int) -> list[Example]:
    """A picture whose pixels are all different, twice as large as what is made of it; its number is its level."""
    small = np.arange(32 * 32, dtype=np.uint32).reshape(32, 32)
    large = np.kron(small % 251, np.ones((2, 2), np.uint32)).astype(np.uint8)
    return [Example((small % 251).astype(np.uint8), large, float(item), f"{item}")]


def tiny(item: int) -> list[Example]:
    """A picture that is smaller than any crop."""
    plane = np.zeros((4, 4), np.uint8)
    return [Example(plane, plane, float(item), f"{item}")]


def stream(count: int = 300) -> Stream:
    return Stream(range(count), numbered, numbered(0))


def test_crops_are_pieces_of_the_pictures_in_place_and_each_picture_has_its_turn() -> None:
    torch.manual_seed(3)
    with ThreadPoolExecutor(1) as pool:
        crops = CropStream(stream(), 16, CPU, pool)
        drawn = [crops.draw(8) for _ in range(75)]
    for batch in drawn:
        assert batch.source.shape == (8, 1, 8, 8)
        assert batch.targets[0].shape == (8, 1, 16, 16)
        assert torch.equal(batch.source.repeat_interleave(2, 2).repeat_interleave(2, 3), batch.targets[0])
        assert batch.weight.tolist() == [1.0] * 8
    seen = torch.cat([batch.q for batch in drawn]).int().tolist()
    # 600 crops were drawn of 300 pictures that give two each, when some hundred were still waiting.
    assert max(seen.count(item) for item in range(300)) <= 6
    assert len(set(seen)) > 250


def test_crops_depend_on_the_seed_alone_not_on_the_number_of_workers() -> None:
    found = []
    for workers, seed in ((1, 3), (3, 3), (1, 4)):
        torch.manual_seed(seed)
        with ThreadPoolExecutor(workers) as pool:
            crops = CropStream(stream(20), 16, CPU, pool)
            found.append(torch.cat([crops.draw(4).source for _ in range(3)]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_pictures_that_are_all_too_small_are_an_error() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="no picture is as large as a crop of 16x16"):
        CropStream(Stream(range(3), tiny, tiny(0)), 16, CPU, pool).draw(1)


def test_a_crop_that_does_not_fit_the_scale_is_refused() -> None:
    with (
        pytest.raises(ValueError, match="crop 15 is not a multiple of the scale 2"),
        open_crops(Stream(range(3), numbered, numbered(0), processes=1), 15, CPU),
    ):
        pass


def test_memory_is_flat_however_many_pictures_there_are(tmp_path: Path) -> None:
    """All of them would take 308 MB, twice while they are copied; with a hundredth of them nothing else differs."""
    grown = []
    for count in (SET // 100, SET):
        folder = tmp_path / f"{count}"
        folder.mkdir()
        photograph(0).save(folder / "0.png")
        for number in range(1, count):
            # What follows a PNG is ignored.
            (folder / f"{number}.png").write_bytes((folder / "0.png").read_bytes() + str(number).encode())
        recipe = changed(f"of-{count}", network=DOUBLER, degradation=SMALL, crop=32, batch=16, steps=100)
        train, valid = gather(recipe, [folder], tmp_path, processes=2, memory=1e6)
        assert isinstance(train, Stream)
        assert len(train.items) == count - round(count * recipe.valid_share)
        assert len(valid) <= MEASURED
        fit(recipe, train, valid, tmp_path / "runs", Team(CPU))
        assert Run(tmp_path / "runs" / recipe.name).weights.exists()
        grown.append(resident())
    assert grown[1] - grown[0] < 60e6


def resident() -> float:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def of_parts(item: int) -> list[Example]:
    """The parts of a mixture: every second one is compressed, and has a clean picture."""
    (example,) = numbered(item)
    return [replace(example, clean=example.degraded if item % 2 else None)]


@pytest.mark.parametrize(("items", "targets"), [((0, 1), 1), ((0,), 1), ((1,), 2)])
def test_clean_pictures_are_targets_where_all_parts_of_a_mixture_have_them(
    items: tuple[int, ...], targets: int
) -> None:
    torch.manual_seed(3)
    examples = [example for item in items for example in of_parts(item)]
    with ThreadPoolExecutor(1) as pool:
        crops = CropStream(Stream(items, of_parts, examples), 16, CPU, pool).draw(16)
    assert len(crops.targets) == len(CropBank(examples, 16, CPU).draw(16).targets) == targets
    assert crops.targets[0].shape == (16, 1, 16, 16)


def wide(item: int) -> list[Example]:
    """Columns of numbers."""
    plane = np.tile(np.arange(240, dtype=np.uint8), (240, 1))
    return [Example(plane, plane, 30.0, f"{item}")]


def test_borders_of_pictures_come_as_often_as_from_memory() -> None:
    torch.manual_seed(3)
    with ThreadPoolExecutor(1) as pool:
        crops = CropStream(Stream(range(10), wide, wide(0)), 40, CPU, pool)
        source = torch.cat([crops.draw(100).source for _ in range(40)])
    corners = (255 * source).round().amin((1, 2, 3))
    shares = [(corners == column).float().mean().item() for column in (0, 96, 200)]
    assert shares == pytest.approx([(0.05 + 1 / 26) / 1.1, 1 / 26 / 1.1, (0.05 + 1 / 26) / 1.1], abs=0.015)
