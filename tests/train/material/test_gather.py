"""From a recipe and places of pictures to examples: what is learned from, what is measured on, what is streamed."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.train.examples import changed
from tests.train.photographs import photograph
from train.material.gather import Gatherer, gather
from train.material.photographs import Photographs
from train.material.stream import Stream
from train.recipe import Recipe

SMALL = {"name": "bicubic", "ratio": 2}
DOUBLER = {"name": "fsrcnn", "scale": 2}


def doubler(**fields: Any) -> Recipe:
    given = {"network": DOUBLER, "degradation": SMALL, "valid_share": 0.25, "crop": 32}
    return changed("doubler", **{**given, **fields})


def test_a_recipe_gets_its_examples_split_by_picture(pictures: Path, tmp_path: Path) -> None:
    recipe = changed("gathered", valid_share=0.25, clips=False)
    train, valid = gather(recipe, [pictures], tmp_path, processes=1)
    assert isinstance(train, list)
    assert {example.picture for example in train} | {example.picture for example in valid} == set("0123")
    (measured,) = {example.picture for example in valid}
    assert measured not in {example.picture for example in train}
    assert all(example.original.shape in ((64, 96), (32, 48)) for example in train + valid)
    gatherer = Gatherer([pictures], tmp_path, processes=1)
    again, _ = gatherer.of(recipe)
    assert isinstance(again, list)
    assert [example.q for example in again] == [example.q for example in train]
    # The next recipe that learns from the same gets the same, not read again.
    assert gatherer.of(changed("other", recipe, steps=7))[0] is again
    alone = gatherer.valid(recipe)
    assert [(example.picture, example.q) for example in alone] == [(example.picture, example.q) for example in valid]
    assert gatherer.valid(changed("other", recipe, steps=7)) is alone
    assert gatherer.valid(changed("another", recipe, seed=recipe.seed + 1)) is not alone
    least = gather(changed("least", recipe, valid_share=0.01), [pictures], tmp_path, processes=1)[1]
    assert len({example.picture for example in least}) == 1
    with pytest.raises(ValueError, match="1 picture cannot be split"):
        gather(recipe, [pictures / "1.png"], tmp_path, processes=1)


@pytest.mark.parametrize("recipe", [doubler(scales=(1.0, 0.5)), changed("coded", valid_share=0.25, clips=False)])
def test_what_does_not_fit_into_memory_is_streamed_and_is_the_same(
    recipe: Recipe, pictures: Path, tmp_path: Path
) -> None:
    train, valid = gather(recipe, [pictures], tmp_path, processes=1)
    streamed, measured = gather(recipe, [pictures], tmp_path, processes=1, memory=1000)
    assert isinstance(train, list)
    assert isinstance(streamed, Stream)
    for first, second in (
        (train, [example for item in streamed.items for example in streamed.load(item)]),
        (valid, measured),
    ):
        assert len(first) == len(second) > 0
        for one, other in zip(first, second, strict=True):
            assert (one.picture, one.q) == (other.picture, other.q)
            assert np.array_equal(one.degraded, other.degraded)
            assert np.array_equal(one.original, other.original)


def test_two_pictures_of_one_name_are_refused(pictures: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    photograph(7).save(other / "1.png")
    with pytest.raises(ValueError, match=r"photographs/1\.png and .*other/1\.png have the same name: rename one"):
        gather(doubler(), [pictures, other], tmp_path, processes=1)


def test_two_files_with_one_picture_are_refused(pictures: Path, tmp_path: Path) -> None:
    (pictures / "copy.png").write_bytes((pictures / "2.png").read_bytes())
    with pytest.raises(ValueError, match=r"(2|copy)\.png and .*(2|copy)\.png are the same picture: remove one"):
        gather(doubler(), [pictures], tmp_path, processes=1)


@pytest.mark.parametrize("recipe", [doubler(), changed("coded", valid_share=0.25, clips=False)])
def test_files_are_named_for_what_is_wrong_with_them(recipe: Recipe, pictures: Path, tmp_path: Path) -> None:
    (pictures / "folder.png").mkdir()  # no picture, whatever its name
    Image.fromarray(np.full((64, 64), 1 << 20, np.int32)).save(pictures / "deep.tif")
    with pytest.raises(ValueError, match=r"deep\.tif: not a readable picture \(samples of 32 bits"):
        gather(recipe, [pictures], tmp_path, processes=1)
    (pictures / "deep.tif").unlink()
    photograph(5, 10, 10).save(pictures / "tiny.png")
    with pytest.raises(ValueError, match=r"tiny\.png.*10x10 is (smaller than 16x16|too small)"):
        gather(recipe, [pictures], tmp_path, processes=1)


def test_names_may_be_any_bytes(pictures: Path, tmp_path: Path) -> None:
    (pictures / "1.png").rename(pictures / os.fsdecode(b"odd\xff.png"))
    train, valid = gather(changed("odd", valid_share=0.25, clips=False), [pictures], tmp_path, processes=1)
    assert isinstance(train, list)
    assert os.fsdecode(b"odd\xff") in {example.picture for example in train + valid}


@pytest.mark.parametrize("memory", [None, 1000])
def test_a_picture_that_cannot_be_read_is_named(pictures: Path, tmp_path: Path, memory: float | None) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"broken\.png: not a readable picture"):
        gather(doubler(), [pictures], tmp_path, processes=1, memory=memory)


def test_a_picture_that_is_too_small_is_named(pictures: Path, tmp_path: Path) -> None:
    photograph(5, 16, 16).save(pictures / "tiny.png")
    with pytest.raises(
        ValueError, match=r"tiny\.png, at 1 of its size: a picture of 16x16 is too small to shrink by 4"
    ):
        gather(doubler(degradation={"name": "bicubic", "ratio": 4}), [pictures], tmp_path, processes=1)


def test_photographs_are_files_or_what_lies_in_folders_and_split_at_random(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(b"")
    material = Photographs()
    files = material.files([pictures, tmp_path / "film.mkv"], tmp_path)
    assert [file.name for file in files] == ["0.png", "1.png", "2.png", "3.png"]
    assert material.files([pictures / "2.png"], tmp_path) == [pictures / "2.png"]
    many = [Path(f"{number}.png") for number in range(50)]
    first = material.measured(many, 0.2, seed=1)
    assert len(first) == 10
    assert material.measured(many, 0.2, seed=1) == first
    assert material.measured(many, 0.2, seed=2) != first


def test_a_place_given_twice_is_taken_once(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = Photographs().files([pictures], tmp_path)
    assert len(once) == 4
    monkeypatch.chdir(tmp_path)
    assert Photographs().files([pictures, Path(pictures.name), once[2]], tmp_path) == once


def test_processes_that_train_together_share_the_memory(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The examples take 4 pictures of 96x64, and a quarter as much for what is made of them.
    monkeypatch.setattr("train.material.gather.memory_limit", lambda: 4 * 40_000)
    assert isinstance(gather(doubler(), [pictures], tmp_path, processes=1)[0], list)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert isinstance(gather(doubler(), [pictures], tmp_path, processes=1)[0], Stream)
