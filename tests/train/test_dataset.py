import hashlib
import json
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import train.dataset as dataset_module
from tests.helpers.processes import ends
from tests.train.photographs import photograph, write_photographs
from train.__main__ import main
from train.coding import encode
from train.dataset import Dataset, DatasetOptions, choose_pairs, find_sources, make_dataset, split_pictures
from train.material.pictures import clip_planes, planes_to_clip, read_yuv420
from train.npz import Blocks, list_members, read_array, write_npz
from train.pairs import PAIRS, Pair, pair_by_slug
from train.patches import MIN_CONTRAST, SIZES, Shard, choose_corners, look_at, make_shard
from vs_srcomp.resample import lanczos5

ROOT = Path(__file__).resolve().parents[2]
PAIR = (pair_by_slug("2by1-q40"),)
SIZE = (112, 96)
"""Width and height of photographs."""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_photographs(tmp_path / "photographs", 6, *SIZE)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are made by a thread: starting processes is most of the time of such small sets."""

    @contextmanager
    def one_thread(processes: int | None) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(1) as pool:
            yield pool

    monkeypatch.setattr(dataset_module, "worker_pool", one_thread)


def make(images: Path, out: Path, **options: object) -> Dataset:
    return make_dataset(DatasetOptions(**{"images": images, "out": out, "pairs": PAIR, "patches": 4} | options))  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def load(path: Path) -> dict[str, NDArray[np.generic]]:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


@pytest.mark.usefixtures("in_process")
def test_all_36_files_are_named_and_laid_out_as_the_original_release(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for seed in range(3):
        photograph(seed, 64, 64).save(folder / f"{seed}.png")
    made = make(folder, tmp_path / "out", name="DIV2K", pairs=PAIRS)
    expected = {
        f"Ratio_{ratio}/DIV2K_{part}_{ratio}_{q}_{size}x{size}.npz"
        for ratio in ("2by1", "8by5", "4by3")
        for q in (20, 30, 40, 50)
        for part, size in (("train", 48), ("valid", 48), ("test", 64))
    }
    assert len(expected) == 36
    assert set(contents(tmp_path / "out")) == expected
    assert {path.relative_to(tmp_path / "out").as_posix() for path in made.files} == expected
    for path in made.files:
        arrays = load(path)
        size = 64 if "_test_" in path.name else 48
        # A picture of 64x64 has one place for a patch that large.
        count = 1 if size == 64 else 4
        assert set(arrays) == {"lr", "hr", "p", "meta"}
        assert arrays["lr"].shape == arrays["hr"].shape == (count, size, size)
        assert arrays["lr"].dtype == arrays["hr"].dtype == np.uint8
        assert arrays["p"] == size


@pytest.mark.usefixtures("in_process")
def test_patches_are_what_playback_shows_and_the_original_at_the_same_place(images: Path, tmp_path: Path) -> None:
    made = make(images, tmp_path / "out")
    for path in made.files:
        arrays = load(path)
        meta = json.loads(str(arrays["meta"]))
        names = [source["name"] for source in meta["sources"] for _ in range(source["patches"])]
        assert len(names) == len(arrays["lr"])
        size = int(arrays["p"])
        both = {name: playback(images / name, 4 if meta["part"] == "test" else 6) for name in set(names)}
        for name, lr, hr in zip(names, arrays["lr"], arrays["hr"], strict=True):
            luma, shown = both[name]
            windows = np.lib.stride_tricks.sliding_window_view(luma, (size, size))
            ((top, left),) = np.argwhere((windows == hr).all(axis=(2, 3)))
            assert np.array_equal(lr, shown[top : top + size, left : left + size])
            assert not np.array_equal(lr, hr)
            assert int(hr.max()) - int(hr.min()) >= MIN_CONTRAST


def playback(path: Path, cpu_used: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The original luma of a picture of 112x96, and what is shown of it."""
    original = read_yuv420(path)
    decoded = decoded_by_ffmpeg(encode(original, PAIR[0], cpu_used), 56, 48)
    shown = lanczos5(planes_to_clip(decoded, original.format.id), 112, 96)
    return clip_planes(original)[0], clip_planes(shown)[0]


def decoded_by_ffmpeg(stream: bytes, width: int, height: int) -> list[NDArray[np.uint8]]:
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "ivf", "-i", "pipe:0"]
    raw = subprocess.run([*argv, "-f", "rawvideo", "pipe:1"], input=stream, capture_output=True, check=True).stdout
    samples = np.frombuffer(raw, np.uint8)
    area = width * height
    return [samples[:area].reshape(height, width), *samples[area:].reshape(2, height // 2, width // 2)]


@pytest.mark.usefixtures("in_process")
def test_the_record_states_how_each_stream_can_be_made_again(images: Path, tmp_path: Path) -> None:
    made = make(images, tmp_path / "out", seed=7)
    meta = json.loads(str(load(made.files[0])["meta"]))
    assert (meta["ratio"], meta["q"], meta["seed"], meta["part"]) == ("2:1", 40, 7, "train")
    assert meta["version"]["libaom"].startswith("v")
    source = meta["sources"][0]
    path = images / source["name"]
    assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    width, height = source["coded"]
    original = read_yuv420(path)
    assert (width, height) == (original.width / 2, original.height / 2)
    program = Path(imageio_ffmpeg.get_ffmpeg_exe())
    assert meta["argv"][0] == program.name
    argv = [word.format(width=width, height=height) for word in meta["argv"][1:]]
    small = b"".join(plane.tobytes() for plane in clip_planes(lanczos5(original, width, height)))
    stream = subprocess.run([program, *argv], input=small, capture_output=True, check=True).stdout
    assert stream == encode(original, PAIR[0], 6)


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(images: Path, tmp_path: Path) -> None:
    for out, processes, seed in (("one", 1, 1), ("two", 2, 1), ("other", 1, 2)):
        make(images, tmp_path / out, processes=processes, seed=seed)
    one, two, other = (contents(tmp_path / out) for out in ("one", "two", "other"))
    assert len(one) == 3
    assert one == two
    assert one.keys() == other.keys()
    assert all(one[name] != other[name] for name in one)


def test_a_killed_run_goes_on_to_the_same_bytes(images: Path, tmp_path: Path) -> None:
    for out in ("whole", "killed"):
        argv = [sys.executable, "-m", "train", "dataset", "--images", str(images), "--out", str(tmp_path / out)]
        argv += ["--ratio", "2:1", "--q", "40", "--processes", "1", "--patches-per-picture", "4"]
        if out == "killed":
            process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            worker = wait_for_shards(tmp_path / out, process)
            process.kill()
            process.wait()
            assert ends(worker)
            assert not list((tmp_path / out).rglob("*_test_*.npz"))
        subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    assert contents(tmp_path / "whole") == contents(tmp_path / "killed")


def wait_for_shards(out: Path, process: "subprocess.Popen[bytes]") -> int:
    """Wait until the second shard is there; the process that makes them."""
    while len(list(out.rglob("[!.]*.npz"))) < 2:
        assert process.poll() is None
        time.sleep(0.002)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell a process's children")
    return int(children.read_text().split()[-1])


@pytest.mark.usefixtures("in_process")
def test_what_a_stopped_run_had_made_is_kept_if_it_is_whole(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(images, tmp_path / "whole")
    made: list[str] = []
    stop_at = 3

    def counted(shard: Shard) -> None:
        if len(made) == stop_at:
            raise RuntimeError("stopped")
        make_shard(shard)
        made.append(shard.path.name)

    monkeypatch.setattr(dataset_module, "make_shard", counted)
    with pytest.raises(RuntimeError, match="stopped"):
        make(images, tmp_path / "out")
    shards = sorted((tmp_path / "out" / ".shards").rglob("*.npz"))
    assert len(shards) == stop_at
    damaged = bytearray(shards[0].read_bytes())
    damaged[len(damaged) // 3] ^= 1
    shards[0].write_bytes(damaged)
    (shards[0].parent / ".half.npz").write_bytes(b"half written")
    stop_at = 100
    make(images, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    # All six once, and the damaged one again.
    assert len(made) == 7
    assert len(set(made)) == 6

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npz")}
    make(images, tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npz")} == before
    assert len(made) == 7


@pytest.mark.usefixtures("in_process")
def test_what_a_run_with_other_options_had_made_is_removed(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(shard: Shard) -> None:
        make_shard(shard)
        raise RuntimeError("stopped")

    monkeypatch.setattr(dataset_module, "make_shard", stopped)
    with pytest.raises(RuntimeError, match="stopped"):
        make(images, tmp_path / "out")
    monkeypatch.undo()
    make(images, tmp_path / "out", seed=5)
    assert not (tmp_path / "out" / ".shards").exists()


@pytest.mark.usefixtures("in_process")
def test_pictures_of_all_kinds_are_used_or_listed_and_those_listed_change_nothing(images: Path, tmp_path: Path) -> None:
    for mode in ("RGBA", "P", "CMYK", "L", "LA"):
        photograph(20 + len(mode), *SIZE).convert(mode).save(images / f"{mode}.tif")
    deep = np.random.default_rng(3).integers(0, 65536, (80, 80), dtype=np.uint16)
    Image.fromarray(deep).save(images / "16-bit.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph(30, *SIZE).save(images / "turned.jpg", exif=exif)
    make(images, tmp_path / "clean")

    (images / "text.png").write_text("not a picture")
    whole = (images / "1.png").read_bytes()
    (images / "cut.png").write_bytes(whole[: len(whole) // 2])
    (images / "folder.png").mkdir()
    photograph(1, 56, 96).save(images / "narrow.png")
    Image.new("RGB", (128, 128), (90, 90, 90)).save(images / "flat.png")
    Image.fromarray(np.zeros((80, 80), np.float32)).save(images / "float.tif")
    Image.new("L", (10000, 9000)).save(images / "huge.png")
    (images / "notes.txt").write_text("not even called a picture")
    (images / "twice.png").write_bytes(whole)
    made = make(images, tmp_path / "out")

    reasons = {
        "text.png": "not a readable picture",
        "cut.png": "not a readable picture",
        "narrow.png": "48x96 is smaller than a patch of 64x64",
        "flat.png": "no patch spans 8 codes",
        "float.tif": "floating-point",
        "huge.png": "not a readable picture",
        "1.png": "the same file as",
    }
    skipped = dict(line.split(": ", 1) for line in made.skipped)
    assert skipped.keys() == reasons.keys()
    assert all(reason in skipped[name] for name, reason in reasons.items())
    used = {source["name"] for path in made.files for source in json.loads(str(read_array(path, "meta")))["sources"]}
    assert used == {"0.png", "2.png", "3.png", "4.png", "5.png", "16-bit.png", "turned.jpg", "twice.png"} | {
        f"{mode}.tif" for mode in ("RGBA", "P", "CMYK", "L", "LA")
    }

    # The copy stands for the picture that it is a copy of; otherwise as if none of them had been there.
    (images / "twice.png").unlink()
    make(images, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "clean")


@pytest.mark.usefixtures("in_process")
def test_a_picture_that_is_tested_on_is_not_learnt_from(images: Path, tmp_path: Path) -> None:
    test_images = tmp_path / "test"
    test_images.mkdir()
    (test_images / "known.png").write_bytes((images / "4.png").read_bytes())
    made = make(images, tmp_path / "out", test_images=test_images, name="set")
    names = {
        path.name.split("_")[1]: [source["name"] for source in json.loads(str(read_array(path, "meta")))["sources"]]
        for path in made.files
    }
    assert names["test"] == ["known.png"]
    assert sorted(names["train"] + names["valid"]) == ["0.png", "1.png", "2.png", "3.png", "5.png"]
    assert made.skipped == (f"4.png: the same file as {test_images / 'known.png'}",)


@pytest.mark.usefixtures("in_process")
def test_files_made_from_something_else_are_not_touched(images: Path, tmp_path: Path) -> None:
    make(images, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(ValueError, match="made from other pictures or with other options"):
        make(images, tmp_path / "out", seed=2)
    assert contents(tmp_path / "out") == before


@pytest.mark.usefixtures("in_process")
def test_two_runs_do_not_write_to_one_folder(images: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / ".shards").mkdir(parents=True)
    with (
        FileLock(tmp_path / "out" / ".shards" / "lock"),
        pytest.raises(ValueError, match="another run is writing"),
    ):
        make(images, tmp_path / "out")


@pytest.mark.parametrize(("arguments", "message"), [
    (["--q", "41"], "there is no level 41"),
    (["--ratio", "3:1"], "no ratio is called '3:1'"),
    (["--name", "a/b"], "cannot begin a file's name"),
])  # fmt: skip
def test_the_command_states_what_is_wrong(arguments: list[str], message: str, images: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["dataset", "--images", str(images), "--out", str(tmp_path / "out"), *arguments])
    assert done.exit_code == 1
    assert message in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("in_process")
def test_too_few_pictures_are_an_error_that_lists_the_skipped(tmp_path: Path) -> None:
    photograph(0, *SIZE).save(tmp_path / "one.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"1 of the pictures can be used, and 3 are needed.*\n.*text\.png: not a"):
        make(tmp_path, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures are in"):
        make(tmp_path / "empty", tmp_path / "out")


def test_pairs_are_chosen_by_ratio_and_level() -> None:
    assert choose_pairs(["all"], ["all"]) == PAIRS
    assert choose_pairs(["8:5"], ["40", "20"]) == (pair_by_slug("8by5-q20"), pair_by_slug("8by5-q40"))
    assert choose_pairs(["4by3"], ["all"]) == tuple(pair for pair in PAIRS if pair.ratio.name == "4:3")


@pytest.mark.parametrize("layout", ["folders", "flat"])
def test_div2k_is_split_as_it_came(layout: str, tmp_path: Path) -> None:
    for number in range(1, 901):
        folder = (
            tmp_path / ("DIV2K_train_HR" if number <= 800 else "DIV2K_valid_HR") if layout == "folders" else tmp_path
        )
        folder.mkdir(exist_ok=True)
        (folder / f"{number:04}.png").touch()
    sources = find_sources(tmp_path, None)
    assert sources.is_div2k
    assert [path.stem for path in sources.train] == [f"{number:04}" for number in range(1, 801)]
    assert sources.valid == []
    assert [path.stem for path in sources.test] == [f"{number:04}" for number in range(801, 901)]
    # With other pictures to test on, its own last hundred validate.
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "1.png").touch()
    with_test = find_sources(tmp_path, tmp_path / "test")
    assert with_test.train == sources.train
    assert with_test.valid == sources.test
    assert [path.name for path in with_test.test] == ["1.png"]


def test_numbered_pictures_that_are_not_div2k_are_any_pictures(tmp_path: Path) -> None:
    for number in range(1, 900):
        (tmp_path / f"{number:04}.png").touch()
    sources = find_sources(tmp_path, None)
    assert not sources.is_div2k
    assert len(sources.train) == 899
    assert sources.test == []


@given(count=st.integers(3, 60), seed=st.integers(0, 5))
def test_the_split_is_whole_disjoint_and_four_to_one(count: int, seed: int) -> None:
    items = list(range(count))
    parts = split_pictures(items, [], [], seed)
    assert sorted(parts["train"] + parts["valid"] + parts["test"]) == items
    assert len(parts["test"]) == max(1, round(count / 9))
    assert len(parts["valid"]) == max(1, round((count - len(parts["test"])) / 5))
    assert all(part == sorted(part) for part in parts.values())
    assert parts == split_pictures(items, [], [], seed)
    given_test = split_pictures(items, [], [-1], seed)
    assert given_test["test"] == [-1]
    assert sorted(given_test["train"] + given_test["valid"]) == items


def test_another_seed_splits_otherwise() -> None:
    items = list(range(50))
    assert split_pictures(items, [], [], 1) != split_pictures(items, [], [], 2)


@given(data=st.data(), size=st.integers(1, 9), count=st.integers(1, 40))
def test_corners_are_different_places_with_contrast(data: st.DataObject, size: int, count: int) -> None:
    height, width = data.draw(st.integers(size, 16)), data.draw(st.integers(size, 16))
    rng = np.random.default_rng(data.draw(st.integers(0, 100)))
    luma = (100 + rng.integers(0, 2, (height, width)) * rng.integers(0, 12, (height, width))).astype(np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(luma.astype(int), (size, size))
    usable = {tuple(corner) for corner in np.argwhere(np.ptp(windows, axis=(2, 3)) >= MIN_CONTRAST)}
    if not usable:
        return
    corners = choose_corners(luma, size, count, (1,))
    assert len(corners) == len(set(corners)) == min(count, len(usable))
    assert set(corners) <= usable
    assert set(choose_corners(luma, size, len(usable), (1,))) == usable


def test_a_picture_has_the_places_that_are_counted(images: Path) -> None:
    seen = look_at(images / "0.png")
    luma = clip_planes(read_yuv420(images / "0.png"))[0]
    for size in SIZES:
        assert seen.places[size] == len(choose_corners(luma, size, luma.size, (1,)))  # type: ignore[union-attr]


def test_a_file_larger_than_memory_is_written_block_by_block(tmp_path: Path) -> None:
    block = np.zeros((100, 48, 48), np.uint8)
    tracemalloc.start()
    write_npz(tmp_path / "large.npz", {"lr": Blocks((40_000, 48, 48), (block for _ in range(400)))})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (member,) = list_members(tmp_path / "large.npz")
    assert member.shape == (40_000, 48, 48)
    assert peak < 2 * block.nbytes + 2**20


def test_an_archive_records_neither_when_nor_where_it_was_written(tmp_path: Path) -> None:
    write_npz(tmp_path / "small.npz", {"lr": Blocks((1, 4, 4), [np.zeros((1, 4, 4), np.uint8)]), "p": np.array(4)})
    with zipfile.ZipFile(tmp_path / "small.npz") as archive:
        assert [member.date_time for member in archive.infolist()] == [(1980, 1, 1, 0, 0, 0)] * 2
        assert {member.create_system for member in archive.infolist()} == {3}
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_DEFLATED}


def test_blocks_must_be_what_was_announced(tmp_path: Path) -> None:
    for blocks, message in (
        ([np.zeros((2, 4, 4), np.uint8)], "2 rows"),
        ([np.zeros((3, 4, 5), np.uint8)], "does not fit into"),
    ):
        with pytest.raises(ValueError, match=message):
            write_npz(tmp_path / "wrong.npz", {"lr": Blocks((3, 4, 4), blocks)})
    assert not list(tmp_path.iterdir())


def test_a_pair_has_its_own_noise_of_coding(images: Path, tmp_path: Path) -> None:
    """The originals are the same for every pair, the degraded patches are not."""
    pairs: tuple[Pair, ...] = (pair_by_slug("2by1-q20"), pair_by_slug("2by1-q50"))
    made = make(images, tmp_path / "out", pairs=pairs, processes=1)
    weak, strong = (load(path) for path in made.files if "_train_" in path.name)
    assert np.array_equal(weak["hr"], strong["hr"])
    errors = [np.abs(arrays["lr"].astype(int) - arrays["hr"]).mean() for arrays in (weak, strong)]
    assert errors[0] < errors[1]


@pytest.mark.usefixtures("in_process")
def test_the_folder_of_the_test_set_is_not_learnt_from_either(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"0 of the pictures can be used.*\n0\.png: the same file as .*0\.png"):
        make(images, tmp_path / "out", test_images=images)
    sources = find_sources(images, images)
    with ThreadPoolExecutor(1) as pool, dataset_module._progress() as progress:
        usable, skipped = dataset_module._look_at_all(sources, pool, progress)
    assert [photograph.path for photograph in usable.test] == sources.test
    assert usable.train == usable.valid == []
    assert len(skipped) == len(sources.train)
