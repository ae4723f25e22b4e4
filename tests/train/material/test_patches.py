"""Patch pairs as training material: which files and patches are used, and what may be wrong with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.train.examples import changed
from tests.train.photographs import write_photographs
from train.__main__ import main
from train.catalogue import read_entries
from train.material.coded import Example
from train.material.gather import Gatherer, gather
from train.material.patches import KIND
from train.material.stream import Stream, open_crops
from train.npz import write_npz
from train.recipe import Recipe

RECIPE = """
name = "of-patches"
steps = 4
batch = 4
crop = 32

[network]
name = "plain"
stride = 4
channels = 8
layers = 3

[degradation]
name = "av1"
ratio = "2:1"

[material]
name = "patches"
"""


def learner(**fields: Any) -> Recipe:
    return changed("learner", **{"material": {"name": "patches"}, "valid_share": 0.25, **fields})


def write_pairs(folder: Path, part: str, q: int, count: int, ratio: str = "2by1", size: int = 48) -> Path:
    """A file of patches; the code of each original is its number, that of the degraded one is 2 more."""
    path = folder / f"Ratio_{ratio}" / f"DIV2K_{part}_{ratio}_{q}_{size}x{size}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.arange(count, dtype=np.uint8)[:, None, None]
    original = np.broadcast_to(numbers, (count, size, size))
    write_npz(path, {"lr": original + np.uint8(2), "hr": original, "p": np.array(size), "meta": np.array("{}")})
    return path


def numbers_of(examples: list[Example]) -> list[tuple[float, int]]:
    """Level and number of each."""
    return [(example.q, int(example.original[0, 0])) for example in examples]


def test_files_of_the_ratio_are_found_and_used_by_their_names(tmp_path: Path) -> None:
    for q in (20, 40):
        for part, count in (("train", 7), ("valid", 3), ("test", 2)):
            write_pairs(tmp_path / "data" / "deep", part, q, count)
            write_pairs(tmp_path / "data" / "deep", part, q, count + 1, ratio="8by5")
    for foreign in ("DIV2K_train_2by1_99_48x48.npz", "other.npz", ".DIV2K_train_2by1_40_48x48.npz", "picture.png"):
        (tmp_path / "data" / foreign).write_bytes(b"of another kind")
    train, valid = gather(learner(), [tmp_path / "data"], tmp_path)
    assert isinstance(train, list)
    assert numbers_of(train) == [(q, number) for q in (20, 40) for number in range(7)]
    assert numbers_of(valid) == [(q, number) for q in (20, 40) for number in range(3)]
    assert {example.kind for example in train + valid} == {KIND}
    for example in train + valid:
        assert example.original.shape == (48, 48)
        assert np.array_equal(example.degraded, example.original + 2)
    assert len({example.picture for example in train + valid}) == 20
    # The same file twice is one file; one at a time is enough.
    alone = tmp_path / "data" / "deep" / "Ratio_2by1" / "DIV2K_train_2by1_40_48x48.npz"
    learned, measured = gather(learner(), [alone, alone], tmp_path)
    assert isinstance(learned, list)
    assert sorted(numbers_of(learned) + numbers_of(measured)) == [(40, number) for number in range(7)]


def test_without_files_for_validation_a_share_is_for_it_the_same_at_each_level(tmp_path: Path) -> None:
    for q in (20, 30):
        write_pairs(tmp_path, "train", q, 40)
    train, valid = gather(learner(), [tmp_path], tmp_path)
    assert isinstance(train, list)
    assert len(valid) == 20
    assert sorted(numbers_of(train) + numbers_of(valid)) == [(q, number) for q in (20, 30) for number in range(40)]
    first, second = ({number for level, number in numbers_of(valid) if level == q} for q in (20, 30))
    assert first == second
    # Side by side, where those of one picture are: from the last to the first if need be.
    assert sum((number + 1) % 40 not in first for number in first) == 1
    gatherer = Gatherer([tmp_path], tmp_path)
    assert numbers_of(gatherer.valid(learner())) == numbers_of(valid)
    assert numbers_of(gatherer.valid(learner(seed=2))) != numbers_of(valid)
    assert len(gather(learner(valid_share=0.001), [tmp_path], tmp_path)[1]) == 2


def test_what_is_wrong_with_patches_is_said_once_and_by_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    places = [tmp_path / "data"]
    with pytest.raises(ValueError, match=r"data: there are no patches for 2:1 .*DIV2K_train_2by1_40_48x48\.npz with"):
        gather(learner(), places, tmp_path)
    write_pairs(tmp_path / "data", "valid", 40, 3)
    write_pairs(tmp_path / "data", "train", 40, 3, ratio="4by3")
    with pytest.raises(ValueError, match="no patches for 2:1 to learn from"):
        gather(learner(), places, tmp_path)
    path = write_pairs(tmp_path / "data", "train", 40, 1)
    gather(learner(), places, tmp_path)
    with pytest.raises(ValueError, match="one patch a file cannot be split"):
        gather(learner(), [path], tmp_path)
    with pytest.raises(
        ValueError, match=r"_48x48\.npz has patches of 48x48, .* than a crop of 96x96: .* to 48 or less$"
    ):
        gather(learner(crop=96), places, tmp_path)
    write_pairs(tmp_path / "other", "train", 40, 3)
    with pytest.raises(ValueError, match="have the same name: rename one"):
        gather(learner(), [*places, tmp_path / "other"], tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"lr": np.zeros((4, 48, 48), np.float32)}, "has no two stacks of 8-bit square patches, but .*lr: float32"),
        ({"lr": np.zeros((3, 48, 48), np.uint8)}, "has stacks that do not belong together"),
        ({"lr": np.zeros((4, 48, 40), np.uint8)}, "has no two stacks of 8-bit square patches"),
        ({"lr": np.zeros((4, 64, 64), np.uint8)}, "has stacks that do not belong together"),
    ],
)
def test_files_of_another_shape_are_named(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "DIV2K_train_2by1_40_48x48.npz"
    write_npz(path, {"hr": np.zeros((4, 48, 48), np.uint8), **arrays})
    with pytest.raises(ValueError, match=rf"{path.name} {message}"):
        gather(learner(), [tmp_path], tmp_path)


def test_python_objects_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "DIV2K_train_2by1_40_48x48.npz"
    np.savez(path, lr=np.array([{}], object), hr=np.zeros((1, 48, 48), np.uint8))
    with pytest.raises(ValueError, match=r"Python objects, which could run code and are not loaded"):
        gather(learner(), [tmp_path], tmp_path)


def test_what_does_not_fit_into_memory_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.material.patch_data.STREAMED", 16)
    for q in (20, 30):
        write_pairs(tmp_path, "train", q, 40)
        write_pairs(tmp_path, "valid", q, 20)
    train, valid = gather(learner(), [tmp_path], tmp_path, processes=1, memory=1000)
    assert isinstance(train, Stream)
    parts = [train.load(item) for item in train.items]
    assert len(parts) == 5
    # Each has patches of all levels, from all over the files.
    assert {len(part) for part in parts} == {16}
    assert all({example.q for example in part} == {20, 30} for part in parts)
    together = sorted(number for part in parts for number in numbers_of(part))
    assert together == [(q, number) for q in (20, 30) for number in range(40)]
    assert numbers_of(valid) == [(q, number) for q in (20, 30) for number in range(0, 20, 3)]
    with open_crops(train, 32, torch.device("cpu")) as crops:
        drawn = crops.draw(8)
    assert drawn.source.shape == (8, 1, 32, 32)
    assert torch.allclose(drawn.source - drawn.targets[0], torch.tensor(2 / 255))


def test_a_network_learns_from_what_the_dataset_command_writes_and_is_exported(tmp_path: Path) -> None:
    write_photographs(tmp_path / "photographs", 6, 112, 96)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "engines").mkdir()
    material = ["--images", str(tmp_path / "set"), "--work", str(tmp_path / "work")]
    pair = ("--ratio", "2:1", "--q", "40", "--patches-per-picture", "4", "--processes", "1")
    for arguments in (
        ["dataset", "--images", str(tmp_path / "photographs"), "--out", str(tmp_path / "set"), *pair],
        ["fit", str(tmp_path / "recipe.toml"), *material],
        ["gains", str(tmp_path / "recipe.toml"), *material],
        ["export", str(tmp_path / "recipe.toml"), *material, "--engines", str(tmp_path / "engines")],
    ):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        if arguments[0] == "gains":
            assert f"| {KIND} | 4 |" in done.output
    assert (tmp_path / "work" / "runs" / "of-patches" / "weights.safetensors").exists()
    assert not (tmp_path / "work" / "coded").exists()
    assert (tmp_path / "engines" / "of-patches.onnx").exists()
    (entry,) = read_entries(tmp_path / "engines" / "models.json")
    assert entry["levels"] == [20, 50]


def test_a_crop_that_is_too_large_is_one_line_of_the_command(tmp_path: Path) -> None:
    write_pairs(tmp_path, "train", 40, 8)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.replace("crop = 32", "crop = 64"))
    done = CliRunner().invoke(main, ["fit", str(recipe), "--images", str(tmp_path), "--work", str(tmp_path / "work")])
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert line.startswith("Error: ")
    assert line.endswith("which are smaller than a crop of 64x64: lower crop in the recipe to 48 or less")
