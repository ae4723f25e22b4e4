"""Datasets in the layout of the original release: a training, a validation and a test file for each pair."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from train.coding import EVALUATION_SPEED, TRAINING_SPEED, encoder_argv, libaom_version, still_options
from train.ffmpeg import ffmpeg_version
from train.material.pictures import list_pictures
from train.npz import Blocks, read_array, write_npz
from train.pairs import PAIRS, Pair
from train.patches import MIN_CONTRAST, TEST_SIZE, TRAINING_SIZE, Photograph, Shard, coded_size, look_at, make_shard
from train.workers import worker_pool
from vs_srcomp.geometry import QUANTIZERS, RATIOS, ratio_by_name

if TYPE_CHECKING:
    from rich.progress import Progress

VALID_SHARE = 0.2
# Share of the test set if none is given, as in DIV2K: 100 of 900.
TEST_SHARE = 1 / 9

DIV2K = "DIV2K"
DIV2K_TRAIN, DIV2K_VALID = "DIV2K_train_HR", "DIV2K_valid_HR"
DIV2K_COUNT = 900
DIV2K_LAST_TRAIN = "0800"

SHARDS = ".shards"


@dataclass(frozen=True, kw_only=True)
class DatasetOptions:
    """Source and parameters of a dataset."""

    images: Path
    """Folder of photographs, or DIV2K."""
    out: Path
    """Folder for the files."""
    pairs: tuple[Pair, ...] = PAIRS
    test_images: Path | None = None
    """Folder of the test set; by default a part of ``images``."""
    name: str | None = None
    """Prefix of the file names; by default ``DIV2K``, or the name of the folder."""
    patches: int = 100
    """Maximum number of patches per photograph."""
    seed: int = 1
    processes: int | None = None
    """Number of worker processes; by default one per core."""


@dataclass(frozen=True)
class Dataset:
    """Result of `make_dataset`."""

    files: tuple[Path, ...]
    skipped: tuple[str, ...]
    """Unusable pictures with reasons. They do not affect the files."""


def choose_pairs(ratios: Iterable[str], quantizers: Iterable[str]) -> tuple[Pair, ...]:
    """The pairs of some ratios ("2:1", "2by1") and compression levels ("40"), or of "all".

    Raises:
        ValueError: There is no such ratio or level.
    """
    ratios, quantizers = list(ratios), list(quantizers)
    names = {ratio.name for ratio in RATIOS if "all" in ratios} | {
        ratio_by_name(name).name for name in ratios if name != "all"
    }
    levels = {str(q) for q in QUANTIZERS if "all" in quantizers} | {q for q in quantizers if q != "all"}
    if unknown := levels - {str(q) for q in QUANTIZERS}:
        raise ValueError(f"there is no level {min(unknown)}; there are {', '.join(map(str, QUANTIZERS))}")
    return tuple(pair for pair in PAIRS if pair.ratio.name in names and str(pair.q) in levels)


def make_dataset(options: DatasetOptions) -> Dataset:
    """Write the three files of each pair. A stopped run is resumed; existing files are kept.

    The files depend only on the pictures, the names, the seed and the number of patches, not on the number of
    processes. Patches are streamed: memory holds those of one picture at a time.

    Raises:
        ValueError: There are too few pictures, an existing file was made from other input, or another run is writing
            to the same folder.
        EncoderError: The encoder failed.
    """
    sources = find_sources(options.images, options.test_images)
    name = options.name or (DIV2K if sources.is_div2k else options.images.resolve().name)
    if not name or Path(name).name != name:
        raise ValueError(f"{name!r} cannot begin a file's name: give another one")
    with _progress() as progress, worker_pool(options.processes) as pool:
        usable, skipped = _look_at_all(sources, pool, progress)
        try:
            parts = split_pictures(usable.train, usable.valid, usable.test, options.seed)
        except ValueError as reason:
            raise ValueError("\n".join((str(reason), *skipped[:5]))) from reason
        files = [DatasetFile(options, name, pair, part, parts[part]) for pair in options.pairs for part in parts]
        with _locked(options.out / SHARDS):
            _write_missing([file for file in files if not file.is_there()], pool, progress)
    return Dataset(tuple(file.path for file in files), skipped)


def _look_at_all(
    sources: "Sources[Path]", pool: Executor, progress: "Progress"
) -> tuple["Sources[Photograph]", tuple[str, ...]]:
    """The usable pictures, and the reasons why others are not usable."""
    paths = list(dict.fromkeys(path for group in sources.groups for path in group))
    looks = progress.track(pool.map(look_at, paths, chunksize=4), len(paths), description="looking at pictures")
    seen = dict(zip(paths, looks, strict=True))
    first: dict[str, Path] = {}
    groups: list[list[Photograph]] = []
    skipped: list[str] = []
    # Test pictures must not be in the training set, not even where both are of one folder.
    for group in (sources.test, sources.valid, sources.train):
        groups.append([])
        for path in group:
            look = seen[path]
            if isinstance(look, str):
                skipped.append(look)
            elif look.sha256 in first:
                skipped.append(f"{path.name}: the same file as {first[look.sha256]}")
            else:
                first[look.sha256] = path
                groups[-1].append(look)
    test, valid, train = groups
    return Sources(train, valid, test), tuple(dict.fromkeys(skipped))


def _write_missing(files: "Sequence[DatasetFile]", pool: Executor, progress: "Progress") -> None:
    """Make the missing shards, and each file as soon as its shards are complete."""
    missing = {file: [shard for shard in file.shards if not shard.is_there()] for file in files}
    futures = {pool.submit(make_shard, shard): file for file, shards in missing.items() for shard in shards}
    waiting = Counter({file: len(shards) for file, shards in missing.items()})
    for file in files:
        if not waiting[file]:
            file.write()
    for future in progress.track(as_completed(futures), len(futures), description="coding"):
        future.result()
        file = futures[future]
        waiting[file] -= 1
        if not waiting[file]:
            file.write()


@dataclass(frozen=True)
class Sources[T]:
    """Pictures for training, validation and test; the last two may be empty."""

    train: list[T]
    valid: list[T]
    test: list[T]
    is_div2k: bool = False

    @property
    def groups(self) -> tuple[list[T], list[T], list[T]]:
        """All three."""
        return self.train, self.valid, self.test


def find_sources(images: Path, test_images: Path | None) -> Sources[Path]:
    """The pictures of a folder, or of DIV2K with its own split.

    DIV2K is recognised by its two folders, or by its 900 files 0001 to 0900 in one. Its first 800 pictures are for
    training. The last 100 are the test set, or the validation set if another test set is given.

    Raises:
        ValueError: There are no pictures.
    """
    first, last = _div2k(images)
    is_div2k = bool(first and last)
    if not is_div2k:
        first, last = list_pictures(images), []
    if not first:
        raise ValueError(f"no pictures are in {images}")
    if test_images is None:
        return Sources(first, [], last, is_div2k)
    test = list_pictures(test_images)
    if not test:
        raise ValueError(f"no pictures are in {test_images}")
    return Sources(first, last, test, is_div2k)


def _div2k(images: Path) -> tuple[list[Path], list[Path]]:
    if (images / DIV2K_TRAIN).is_dir() and (images / DIV2K_VALID).is_dir():
        return list_pictures(images / DIV2K_TRAIN), list_pictures(images / DIV2K_VALID)
    paths = list_pictures(images)
    if [path.stem for path in paths] != [f"{number:04}" for number in range(1, DIV2K_COUNT + 1)]:
        return [], []
    return (
        [path for path in paths if path.stem <= DIV2K_LAST_TRAIN],
        [path for path in paths if path.stem > DIV2K_LAST_TRAIN],
    )


def split_pictures[T](pool: list[T], valid: list[T], test: list[T], seed: int) -> dict[str, list[T]]:
    """Pictures by part of the dataset; an empty part gets a random share of ``pool``.

    Raises:
        ValueError: There are fewer pictures than parts.
    """
    needed = 1 + (not valid) + (not test)
    if len(pool) < needed:
        raise ValueError(
            f"{len(pool)} of the pictures can be used, and {needed} are needed: a part each to learn, validate and test"
        )
    if not test:
        pool, test = _set_apart(pool, TEST_SHARE, (seed, 0))
    if not valid:
        pool, valid = _set_apart(pool, VALID_SHARE, (seed, 1))
    return {"train": pool, "valid": valid, "test": test}


def _set_apart[T](items: list[T], share: float, seed: tuple[int, int]) -> tuple[list[T], list[T]]:
    """The rest and a random share of at least one item, both in their old order."""
    count = max(1, round(len(items) * share))
    chosen = set(np.random.default_rng(seed).permutation(len(items))[:count].tolist())
    return (
        [item for index, item in enumerate(items) if index not in chosen],
        [item for index, item in enumerate(items) if index in chosen],
    )


@dataclass(frozen=True, eq=False)
class DatasetFile:
    """One file of the dataset: the patches of some photographs for one pair."""

    options: DatasetOptions
    name: str
    pair: Pair
    part: str
    """``"train"``, ``"valid"`` or ``"test"``."""
    photographs: Sequence[Photograph]

    @property
    def size(self) -> int:
        """Side of a patch."""
        return TEST_SIZE if self.part == "test" else TRAINING_SIZE

    @property
    def cpu_used(self) -> int:
        """Speed level of the encoder."""
        return EVALUATION_SPEED if self.part == "test" else TRAINING_SPEED

    @property
    def path(self) -> Path:
        """Path with the file name of the original release."""
        ratio = self.pair.ratio.slug
        name = f"{self.name}_{self.part}_{ratio}_{self.pair.q}_{self.size}x{self.size}.npz"
        return self.options.out / f"Ratio_{ratio}" / name

    @property
    def shard_folder(self) -> Path:
        """Folder of the patches until they are complete."""
        return self.options.out / SHARDS / f"{self.name}-{self.part}-{self.pair.slug}"

    @cached_property
    def shards(self) -> list[Shard]:
        """One shard per photograph."""
        options = self.options
        return [
            Shard(photograph, self.pair, self.size, options.patches, options.seed, self.cpu_used, self.shard_folder)
            for photograph in self.photographs
        ]

    @cached_property
    def meta(self) -> str:
        """JSON record of everything that determines the patches."""
        program, *arguments = encoder_argv(0, 0, still_options(self.cpu_used), self.pair.q)
        argv = [Path(program).name, *("{width}x{height}" if word == "0x0" else word for word in arguments)]
        ratio = self.pair.ratio.name
        record = {
            "set": self.name,
            "part": self.part,
            "ratio": ratio,
            "q": self.pair.q,
            "encoder": "libaom-av1",
            "version": {
                "libaom": libaom_version(),
                "ffmpeg": ffmpeg_version(),
                "vapoursynth": f"R{vs.core.core_version.release_major}",
            },
            "argv": argv,
            "steps": [
                "RGB to YUV 4:2:0, BT.709 limited range, zimg bicubic; cut to a multiple of 16",
                f"zimg Lanczos, a = 5, down by {ratio}, every plane",
                "argv, one frame a stream, width and height as in coded",
                "decode, as AV1 prescribes to the bit",
                f"zimg Lanczos, a = 5, up by {ratio}",
                f"random luma patches, lightest minus darkest code at least {MIN_CONTRAST} in the original",
            ],
            "seed": self.options.seed,
            "patches_per_picture": self.options.patches,
            "sources": [
                {
                    "name": shard.photograph.path.name,
                    "sha256": shard.photograph.sha256,
                    "size": [shard.photograph.width, shard.photograph.height],
                    "coded": coded_size(shard.photograph, self.pair),
                    "patches": shard.patches,
                }
                for shard in self.shards
            ],
        }
        return json.dumps(record, ensure_ascii=False)

    def is_there(self) -> bool:
        """Whether the file has been written.

        Raises:
            ValueError: It was made from other pictures or with other options.
        """
        if not self.path.exists():
            return False
        try:
            meta = str(read_array(self.path, "meta"))
        except (ValueError, KeyError):
            meta = ""
        if meta != self.meta:
            raise ValueError(
                f"{self.path} is there, but was made from other pictures or with other options: "
                "delete it, or write elsewhere"
            )
        return True

    def write(self) -> None:
        """Join the shards, one at a time, and remove them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        shape = sum(shard.patches for shard in self.shards), self.size, self.size
        arrays = {key: Blocks(shape, self._patches(key)) for key in ("lr", "hr")}
        write_npz(self.path, {**arrays, "p": np.array(self.size), "meta": np.array(self.meta)})
        # With what stopped runs with other options have left there.
        shutil.rmtree(self.shard_folder)

    def _patches(self, key: str) -> Iterator[NDArray[np.uint8]]:
        for shard in self.shards:
            yield np.asarray(read_array(shard.path, key), np.uint8)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder of shards, remove partial files of a killed run, and clean up at the end."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"another run is writing to {folder.parent}: wait for it, or write elsewhere") from None
    try:
        _remove(folder.parent.glob("Ratio_*/.*.npz"))
        _remove(folder.glob("*/.*.npz"))
        yield
    finally:
        if list(folder.iterdir()) == [folder / "lock"]:
            _remove([folder / "lock"])
        lock.release()
        with suppress(OSError):  # not empty: shards for a resumed run
            folder.rmdir()


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    return Progress(
        *Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    )
