"""`vs-srcomp engines`, with the networks of the package and a backend that stores what it makes of them."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import vapoursynth as vs
from click.testing import CliRunner, Result
from filelock import FileLock

import vs_srcomp
from tests.networks import random_doubler
from tests.storing_backend import Darken
from vs_srcomp.backends import Backend, choice
from vs_srcomp.backends.base import Engine, PlaneFormat
from vs_srcomp.cli import main
from vs_srcomp.engine_cache import prepare
from vs_srcomp.geometry import QUANTIZERS, RATIOS, Ratio
from vs_srcomp.models import Network, network_for

type Engines = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where engines are stored; not there yet."""
    monkeypatch.setenv("SRCOMP_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.fixture(autouse=True)
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Darken:
    """In the place of TensorRT, which needs a graphics card."""
    backend = Darken(log=tmp_path / "builds")
    monkeypatch.setattr(Backend, "TensorRT", lambda: backend)
    return backend


@pytest.fixture
def engines() -> Engines:
    """Run ``vs-srcomp engines``."""
    return lambda *arguments: CliRunner().invoke(main, ["engines", *map(str, arguments)])


@pytest.fixture
def build(engines: Engines) -> Engines:
    """Run ``vs-srcomp engines build`` for that backend."""
    return lambda *arguments: engines("build", "--backend", "tensorrt", *arguments)


@pytest.fixture(autouse=True)
def _known_models(carried: Path) -> None:
    """Networks with random weights are in the place of the package's own."""


def network(q: float = 40, ratio: Ratio = RATIOS[0]) -> Network:
    """That of ``fast`` at a level."""
    _, found = network_for("fast", ratio, q)
    return found


def facts(engines: Engines) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = json.loads(engines("list", "--json").stdout)
    return listed


@pytest.mark.parametrize("command", ["list", "build", "clear"])
def test_help_fits_and_has_examples(command: str) -> None:
    done = CliRunner().invoke(main, ["engines", command, "--help"], terminal_width=100)
    assert done.exit_code == 0
    assert max(map(len, done.output.splitlines())) <= 100
    assert f"  vs-srcomp engines {command}" in done.output.partition("Examples:")[2]


def test_all_levels_are_built_ahead_and_once(build: Engines, folder: Path) -> None:
    for what in ("made in", "is there"):
        done = build("--size", "64x48")
        assert (done.exit_code, done.stdout) == (0, "")
        lines = done.stderr.splitlines()
        assert [line.partition(", ")[0] for line in lines] == [network(q).name for q in QUANTIZERS]
        assert all(f", 64x48, 8 bits: {what}" in line for line in lines)
    assert len(list(folder.glob("*.engine"))) == len(QUANTIZERS)


@pytest.mark.parametrize("ratio", ["2:1", "8:5", "4:3"])
def test_what_is_built_ahead_is_what_a_script_asks_for(
    build: Engines, folder: Path, film: Path, backend: Darken, ratio: str
) -> None:
    assert build("--clip", film, "--ratio", ratio).exit_code == 0
    built = sorted(folder.glob("*.engine"))
    for q in QUANTIZERS:
        vs_srcomp.upscale(vs_srcomp.source(film), ratio=ratio, q=q, backend=backend)
    assert sorted(folder.glob("*.engine")) == built
    assert len(backend.builds()) == len(built)


def test_float_clips_run_in_sixteen_bits(
    build: Engines, engines: Engines, film: Path, backend: Darken, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = vs.core.std.BlankClip(width=33, height=35, format=vs.YUV444PS)
    monkeypatch.setattr(vs_srcomp, "source", lambda path: clip)
    assert build("--clip", film, "--q", "40").exit_code == 0
    (listed,) = facts(engines)
    # 66x70, to whole cells of the network.
    assert listed["plane"] == {"width": 68, "height": 72, "bits": 16}
    vs_srcomp.upscale(clip, q=40, backend=backend)
    assert len(backend.builds()) == 1


def test_levels_bits_and_ratio_can_be_chosen(build: Engines, engines: Engines) -> None:
    done = build("--size", "64x48", "--ratio", "4:3", "--q", "21", "--q", "44", "--bits", 8, "--bits", 10)
    assert done.exit_code == 0
    built = {(each["model"], json.dumps(each["plane"])) for each in facts(engines)}
    planes = [json.dumps({"bits": bits, "height": 48, "width": 64}) for bits in (8, 10)]
    assert built == {(f"srcomp-fast-4by3 at Q {q}", plane) for q in (20, 40) for plane in planes}


def test_doublers_are_built_for_the_size_of_the_input(build: Engines, tmp_path: Path, film: Path) -> None:
    model = tmp_path / "doubler.onnx"
    model.write_bytes(random_doubler())
    for arguments, what in (
        (["--size", "128x96"], "64x48, 8 bits: made"),
        (["--size", "84x60", "--ratio", "4:3"], "63x45, 8 bits: made"),
        (["--size", "128x96", "--bits", "10"], "64x48, 10 bits: made"),
        (["--clip", film], "96x64, 10 bits: made"),
    ):
        done = build("--model", model, *arguments)
        assert f"doubler.onnx, {what}" in done.stderr.splitlines()[-1]


@dataclass(frozen=True)
class Plain:
    """A backend that stores nothing."""

    workers: int = 1

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        raise AssertionError


def test_a_backend_that_stores_nothing_has_nothing_to_prepare(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(Backend, "Torch", Plain)
    done = engines("build", "--size", "64x48", "--backend", "torch")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "Plain stores nothing: it compiles at each start, and there is nothing to prepare\n"
    assert not folder.exists()


def test_the_backend_is_that_of_scripts_unless_one_is_named(
    engines: Engines, backend: Darken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "default_backend", lambda: backend)
    assert "made" in engines("build", "--size", "64x48", "--q", 40).stderr
    assert backend.builds() == ["64x48"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build"], "Give either --clip or --size."),
        (["build", "--size", "64x48", "--clip", "a.mkv"], "Give either --clip or --size."),
        (["build", "--clip", "a.mkv", "--bits", "8"], "--bits goes with --size: a clip has its own."),
        (["build", "--size", "64"], "'64' is not a size: give width and height, such as 1920x1080"),
        (["build", "--size", "0x48"], "'0x48' is not a size"),
        (["build", "--size", "64x48", "--bits", "7"], "7 is not in the range 8<=x<=16"),
        (["build", "--size", "64x48", "--q", "64"], "64.0 is not in the range"),
        (["clear"], "Give either --older-than or --all."),
        (["clear", "--all", "--older-than", "3"], "Give either --older-than or --all."),
        (["clear", "--older-than", "-1"], "-1.0 is not in the range"),
    ],
)
def test_wrong_usage(engines: Engines, arguments: list[str], message: str) -> None:
    done = engines(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clip", "nowhere.mkv"], "nowhere.mkv"),
        (["--size", "64x48", "--model", "slow"], "there is no model 'slow'\nuse one of "),
        (["--size", "64x48", "--model", "nowhere.onnx"], "cannot read the model 'nowhere.onnx'"),
    ],
)
def test_what_is_not_there_is_an_error(build: Engines, arguments: list[str], message: str) -> None:
    done = build(*arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("vs-srcomp: error: ")
    assert message in done.stderr


def test_building_where_nothing_can_be_stored_fails(
    build: Engines, engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SRCOMP_CACHE_DIR", str(tmp_path / "file"))
    done = build("--size", "64x48", "--q", "20")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.endswith("srcomp-fast-2by1 at Q 20, 64x48, 8 bits: compiled, but not stored\n")
    for command in (["list"], ["clear", "--all"]):
        done = engines(*command)
        assert done.exit_code == 1
        assert "set SRCOMP_CACHE_DIR to another folder" in done.stderr


def put(folder: Path, found: Network, width: int, days: float) -> Path:
    """An engine that was used ``days`` ago."""
    before = set(folder.glob("*.engine"))
    prepare(found, Darken(log=folder.parents[1] / "builds"), PlaneFormat(width, 48, 8))
    (path,) = set(folder.glob("*.engine")) - before
    used = time.time() - days * 86_400
    os.utime(path, (used, used))
    return path


def test_the_table(engines: Engines, folder: Path) -> None:
    put(folder, network(40), 64, days=3)
    put(folder, network(20), 1280, days=0.1)
    damaged = put(folder, network(20, RATIOS[1]), 32, days=40)
    damaged.write_bytes(damaged.read_bytes()[:40])
    os.utime(damaged, (0, 0))
    done = engines("list")
    assert (done.exit_code, done.stderr) == (0, "")
    head, *rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert head == "model backend size bits file age last used"
    assert rows[0].startswith("srcomp-fast-2by1 at Q 20 Darken 1280x48 8 ")
    assert rows[0].endswith("bytes moments 2 hours ago")
    assert rows[1].startswith("srcomp-fast-2by1 at Q 40 Darken 64x48 8 ")
    assert rows[1].endswith("bytes moments 3 days ago")
    assert damaged.name in rows[2]
    assert "it is damaged" in done.stdout


def test_the_list_as_json_has_everything(engines: Engines, folder: Path) -> None:
    path = put(folder, network(40), 64, days=0)
    (listed,) = facts(engines)
    assert listed["file"] == str(path)
    assert listed["bytes"] == path.stat().st_size
    assert (listed["model"], listed["network"], listed["backend"]) == (
        "srcomp-fast-2by1 at Q 40",
        network(40).sha256,
        "Darken",
    )
    assert listed["identity"] == {"device": "this computer", "precision": "f32"}
    assert listed["plane"] == {"width": 64, "height": 48, "bits": 8}
    assert str(listed["created"]).endswith("+00:00")


def test_an_empty_list(engines: Engines, folder: Path) -> None:
    done = engines("list")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"there are none in {folder}\n")
    assert facts(engines) == []


def test_only_what_is_old_is_removed(engines: Engines, folder: Path) -> None:
    old = put(folder, network(40), 64, days=31)
    young = put(folder, network(40), 32, days=29)
    size = old.stat().st_size
    done = engines("clear", "--older-than", 30)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "srcomp-fast-2by1 at Q 40, Darken, 64x48, 8 bits: removed",
        f"1 engine removed from {folder}, {size} bytes",
    ]
    assert sorted(folder.iterdir()) == sorted([young, young.with_suffix(".lock")])


def test_everything_is_removed_but_files_of_others_and_what_is_in_use(engines: Engines, folder: Path) -> None:
    removed = put(folder, network(40), 64, days=1)
    used = put(folder, network(30), 64, days=2)
    unfinished = removed.with_name(f".{'0' * 32}.abc.engine")
    unfinished.write_bytes(removed.read_bytes()[:50])
    being_written = used.with_name(f".{used.stem}.abc.engine")
    being_written.write_bytes(removed.read_bytes()[:50])
    (folder / ("1" * 32 + ".lock")).write_text("")
    (folder / ("3" * 32 + ".timing")).write_bytes(b"measured")
    foreign = [
        folder / name for name in ("other.engine", "notes.txt", "other.lock", "other.timing", "2" * 32 + ".lock")
    ]
    for path in foreign:
        path.write_text("not one of ours")
    outside = folder.parent / "outside.engine"
    outside.write_bytes(removed.read_bytes())
    link = folder / "link.engine"
    link.symlink_to(outside)
    with FileLock(used.with_suffix(".lock")):
        done = engines("clear", "--all")
    assert done.exit_code == 0
    assert "srcomp-fast-2by1 at Q 40, Darken, 64x48, 8 bits: removed" in done.stderr
    assert "srcomp-fast-2by1 at Q 30, Darken, 64x48, 8 bits: left, it is in use" in done.stderr
    left = {used, used.with_suffix(".lock"), being_written, link, *foreign}
    assert set(folder.iterdir()) == left
    assert outside.exists()
    engines("clear", "--all")
    assert set(folder.iterdir()) == {link, *foreign}


def test_clearing_what_is_not_there_removes_nothing(engines: Engines, folder: Path) -> None:
    done = engines("clear", "--all")
    assert (done.exit_code, done.stderr) == (0, f"0 engines removed from {folder}, 0 bytes\n")
