import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from train.__main__ import main
from train.inspection import describe, find_stacks, measure, write_sheet
from train.npz import Blocks, list_members, read_array, read_blocks, write_npz

type Patches = NDArray[np.uint8]


@pytest.fixture
def pairs() -> tuple[Patches, Patches]:
    """Degraded and original, (7, 8, 8)."""
    rng = np.random.default_rng(0)
    original = rng.integers(20, 230, (7, 8, 8), dtype=np.uint8)
    blurred = (original.astype(np.uint16) + np.roll(original, 1, 2) + np.roll(original, 2, 2)) // 3
    return blurred.astype(np.uint8), original


def test_statistics_are_those_of_the_arrays(pairs: tuple[Patches, Patches], tmp_path: Path) -> None:
    lr, hr = pairs
    path = tmp_path / "pairs.npz"
    write_npz(path, {"lr": lr, "hr": hr, "p": np.array(8), "meta": np.array(json.dumps({"q": 40, "sources": ["a"]}))})
    seen = measure(find_stacks(path))
    difference = lr.astype(float) - hr
    assert seen.degraded_range == (int(lr.min()), int(lr.max()))
    assert seen.original_range == (int(hr.min()), int(hr.max()))
    assert seen.least_contrast == min(int(patch.max()) - int(patch.min()) for patch in hr)
    assert seen.mean_difference == pytest.approx(difference.mean())
    assert seen.mean_absolute_difference == pytest.approx(np.abs(difference).mean())
    assert seen.psnr == pytest.approx(10 * np.log10(255**2 / (difference**2).mean()))
    text = describe(path)
    assert "7 pairs of 8x8" in text
    assert f"PSNR: {seen.psnr:.2f} dB" in text
    assert "q: 40" in text
    assert "sources: 1 pictures: a" in text


@pytest.mark.parametrize("layout", ["plain", "last", "first"])
@pytest.mark.parametrize(
    ("degraded", "original", "distinguished_by"),
    [
        ("x_train", "y_train", "their names"),
        ("LR", "HR", "their names"),
        ("inputs", "labels", "their names"),
        ("arr_1", "arr_0", "sharpness"),
        ("arr_0", "arr_1", "sharpness"),
        # A name that says something other than the samples do is believed.
        ("hr", "lr", "their names"),
    ],
)
def test_foreign_files_are_understood(
    layout: str, degraded: str, original: str, distinguished_by: str, pairs: tuple[Patches, Patches], tmp_path: Path
) -> None:
    lr, hr = ({"plain": stack, "last": stack[..., None], "first": stack[:, None]}[layout] for stack in pairs)
    arrays: dict[str, Any] = {original: hr, degraded: lr, "names": np.array(["a", "b"]), "size": 8}
    np.savez(tmp_path / "foreign.npz", **arrays)
    stacks = find_stacks(tmp_path / "foreign.npz")
    believed = (original, degraded) if degraded == "hr" else (degraded, original)
    assert (stacks.degraded.key, stacks.original.key) == believed
    assert stacks.distinguished_by.startswith(distinguished_by)
    assert (stacks.count, stacks.size) == (7, 8)
    ((first, second),) = stacks.blocks()
    assert np.array_equal(first, pairs[degraded == "hr"])
    assert np.array_equal(second, pairs[degraded != "hr"])


@pytest.mark.parametrize("compressed", [True, False])
def test_large_arrays_come_in_blocks_of_any_order(compressed: bool, tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 256, (50, 6, 6), dtype=np.uint8)
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "stack.npz", c=stack, f=np.asfortranarray(stack))
    members = {member.key: member for member in list_members(tmp_path / "stack.npz")}
    for member in members.values():
        blocks = list(read_blocks(tmp_path / "stack.npz", member, 16))
        assert np.array_equal(np.concatenate(blocks), stack)
        assert [len(block) for block in blocks] == [16, 16, 16, 2]
    assert members["f"].fortran_order


def test_what_is_no_file_of_pairs_is_reported_by_its_contents(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", lr=np.zeros((3, 8, 8), np.uint8), hr=np.zeros((3, 8, 8), np.float32))
    with pytest.raises(ValueError, match=r"but lr: uint8 \(3, 8, 8\), hr: float32 \(3, 8, 8\)"):
        find_stacks(tmp_path / "one.npz")
    np.savez(tmp_path / "small.npz", lr=np.zeros((3, 8, 8), np.uint8), hr=np.zeros((3, 16, 16), np.uint8))
    with pytest.raises(ValueError, match="do not belong together"):
        find_stacks(tmp_path / "small.npz")
    empty = np.zeros((3, 8, 8), np.uint8)
    np.savez(tmp_path / "three.npz", a=empty, b=empty, c=empty)
    with pytest.raises(ValueError, match="no two stacks"):
        find_stacks(tmp_path / "three.npz")
    np.savez(tmp_path / "none.npz", lr=np.zeros((0, 8, 8), np.uint8), hr=np.zeros((0, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="no two stacks"):
        find_stacks(tmp_path / "none.npz")


class Payload:
    """Loading it as a pickle would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_python_objects_are_refused_and_not_loaded(tmp_path: Path) -> None:
    bait = tmp_path / "loaded"
    objects = np.array([Payload(bait)], dtype=object)
    np.savez(tmp_path / "objects.npz", lr=objects, hr=objects)
    with pytest.raises(ValueError, match="lr: Python objects, which could run code and are not loaded"):
        find_stacks(tmp_path / "objects.npz")
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_array(tmp_path / "objects.npz", "lr")
    stack = np.zeros((3, 8, 8), np.uint8)
    stack[:, 3] = 9
    np.savez(tmp_path / "meta.npz", lr=stack, hr=stack, meta=objects)
    assert "meta: Python objects" in describe(tmp_path / "meta.npz")
    assert not bait.exists()


def test_damaged_files_are_an_error_of_one_line(pairs: tuple[Patches, Patches], tmp_path: Path) -> None:
    path = tmp_path / "pairs.npz"
    write_npz(path, {"lr": pairs[0], "hr": pairs[1]})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    done = CliRunner().invoke(main, ["inspect", str(path)])
    assert done.exit_code == 1
    assert "pairs.npz: not an .npz file, or a damaged one" in done.output
    flipped = bytearray(whole)
    flipped[200] ^= 255
    path.write_bytes(flipped)
    with pytest.raises(ValueError, match="damaged"):
        measure(find_stacks(path))


def test_the_sheet_shows_degraded_original_and_difference(pairs: tuple[Patches, Patches], tmp_path: Path) -> None:
    lr, hr = pairs
    path = tmp_path / "pairs.npz"
    blocks = {"lr": Blocks(lr.shape, [lr[:4], lr[4:]]), "hr": Blocks(hr.shape, [hr])}
    write_npz(path, blocks)
    done = CliRunner().invoke(main, ["inspect", str(path), "--sheet", str(tmp_path / "sheet.png")])
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "sheet.png") as picture:
        sheet = np.asarray(picture)
    # Seven cells of 3 * 8 + 8 by 8 + 4, four in a row, twice as large.
    assert sheet.shape == (2 * 2 * 12, 2 * 4 * 32)
    for index in range(7):
        top, left = 24 * (index // 4), 64 * (index % 4)
        cell = sheet[top : top + 16 : 2, left : left + 48 : 2].astype(int)
        assert np.array_equal(cell[:, :8], lr[index])
        assert np.array_equal(cell[:, 8:16], hr[index])
        difference = 128 + 4 * (lr[index].astype(int) - hr[index])
        assert np.array_equal(cell[:, 16:24], difference.clip(0, 255))
    again = tmp_path / "again.png"
    write_sheet(path, again)
    assert again.read_bytes() == (tmp_path / "sheet.png").read_bytes()
