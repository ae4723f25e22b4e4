"""Engines on disk: made once, never mistaken for another, mended when damaged, and never in the way."""

import os
import pwd
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import vapoursynth as vs

import vs_srcomp
from tests.networks import as_network, random_network
from tests.storing_backend import Darken
from vs_srcomp import log, stored_engines
from vs_srcomp.backends.base import PlaneFormat, StoringBackend
from vs_srcomp.engine_file import FORMAT, MAGIC
from vs_srcomp.engine_folder import engines_folder, remove
from vs_srcomp.engine_folder import stored_engines as listed
from vs_srcomp.models import Network, load_network, models
from vs_srcomp.stored_engines import Outcome, load_or_build

NETWORK = as_network(random_network())
PLANE = PlaneFormat(32, 16, 8)
BUILT = b"32x16 on this computer, layout 1" + bytes(range(256))
ROOT = Path(__file__).resolve().parents[1]

# Asks for the engine, as another program would, says what became of it, and keeps the core's log.
ANOTHER_PROGRAM = """
import os
import sys
from pathlib import Path
from tests.networks import as_network, random_network
from tests.storing_backend import Darken
from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.stored_engines import load_or_build
import vapoursynth as vs
network = as_network(random_network())
def note(kind, message):
    if message.startswith("srcomp: "):
        with Path(sys.argv[2]).with_name(f"{os.getpid()}.log").open("a") as log:
            log.write(message + "\\n")
vs.core.add_log_handler(note)
print("ready", flush=True)
sys.stdin.readline()
backend = Darken(log=Path(sys.argv[1]), gate=Path(sys.argv[2]))
load_or_build(network, backend, PlaneFormat(32, 16, 8), lambda outcome: print(outcome, flush=True))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where engines are stored; not there yet."""
    monkeypatch.setenv("SRCOMP_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.fixture
def backend(tmp_path: Path) -> Darken:
    return Darken(log=tmp_path / "builds")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is said in the core's log."""
    monkeypatch.setattr(log, "_said", set())
    messages: list[str] = []

    def note(_: vs.MessageType, message: str) -> None:
        # VapourSynth also tells of every handler.
        if message.startswith("srcomp: "):
            messages.append(message)

    handle = vs.core.add_log_handler(note)
    yield messages
    vs.core.remove_log_handler(handle)


def outcome(backend: StoringBackend, network: Network = NETWORK, plane: PlaneFormat = PLANE) -> str:
    """What became of an engine that is asked for."""
    told: list[Outcome] = []
    load_or_build(network, backend, plane, told.append)
    (only,) = told
    return only


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.engine")
    return path


type Program = subprocess.Popen[str]


@pytest.fixture
def another_program(backend: Darken, gate: Path) -> Iterator[Callable[[], Program]]:
    """Make another process, ready to ask for the engine as soon as it is given a line."""
    made: list[Program] = []

    def make() -> Program:
        argv = [sys.executable, "-c", ANOTHER_PROGRAM, str(backend.log), str(gate)]
        pipe = subprocess.PIPE
        program = subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        made.append(program)
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        return program

    yield make
    for program in made:
        program.kill()
        program.communicate()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Builds in other processes wait until this file is there."""
    return tmp_path / "gate"


def start(program: Program) -> None:
    assert program.stdin
    program.stdin.write("\n")
    program.stdin.flush()


def wait_until(happens: Callable[[], bool]) -> None:
    """Wait for what other processes do; never for long, unless they are broken."""
    end = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_engine_is_built_once_and_found_from_then_on(backend: Darken, folder: Path) -> None:
    assert [outcome(backend) for _ in range(3)] == ["made", "found", "found"]
    assert len(backend.builds()) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.suffix for path in sorted(folder.iterdir())] == [".engine", ".lock"]


def test_the_folder_is_the_users_cache_unless_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SRCOMP_CACHE_DIR", "here")
    assert engines_folder() == tmp_path / "here" / "engines"
    monkeypatch.setenv("SRCOMP_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert engines_folder() == tmp_path / "xdg" / "vs-srcomp" / "engines"


def test_whatever_an_engine_depends_on_makes_it_another(backend: Darken, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Another(Darken):
        pass

    asked: list[tuple[StoringBackend, Network, PlaneFormat]] = [
        (backend, NETWORK, PLANE),
        (backend, as_network(random_network(seed=2)), PLANE),
        (backend, as_network(random_network(), stride=4), PLANE),
        (replace(backend, device="another"), NETWORK, PLANE),
        (replace(backend, precision="bf16"), NETWORK, PLANE),
        (Another(log=backend.log), NETWORK, PLANE),
        (backend, NETWORK, PlaneFormat(16, 32, 8)),
        (backend, NETWORK, PlaneFormat(32, 32, 8)),
        (backend, NETWORK, PlaneFormat(32, 16, 10)),
    ]
    assert [outcome(*each) for each in asked] == ["made"] * len(asked)
    assert [outcome(*each) for each in asked] == ["found"] * len(asked)
    monkeypatch.setattr(stored_engines, "_own_version", lambda: "the next release")
    assert outcome(backend) == "made"


def test_a_change_of_the_code_that_makes_engines_is_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version() -> str:
        return stored_engines._own_version.__wrapped__()

    assert version() == version()
    assert version().startswith(f"{vs_srcomp.__version__}+")
    monkeypatch.setattr(stored_engines, "files", lambda package: tmp_path / package)
    versions: list[str] = []
    for package in ("backends", "models"):
        (tmp_path / f"vs_srcomp.{package}").mkdir()
    for package in ("backends", "models", "backends"):
        (tmp_path / f"vs_srcomp.{package}" / "half.py").write_text(f"{len(versions)}")
        versions.append(version())
    (tmp_path / "vs_srcomp.models" / "notes.txt").write_text("not code")
    assert len(set(versions)) == 3
    assert version() == versions[-1]


def test_the_file_says_what_it_is(backend: Darken) -> None:
    model = models()[0]
    outcome(backend, load_network(model))
    (engine,) = listed()
    assert engine.header
    assert engine.header.model == model.name
    assert engine.header.key["network"] == model.sha256
    assert engine.header.key["plane"] == {"width": 32, "height": 16, "bits": 8}
    assert engine.header.key["identity"] == {"device": "this computer", "precision": "f32"}
    assert abs(engine.header.created - time.time()) < 60
    assert engine.bytes == engine.path.stat().st_size > engine.header.length == len(BUILT)


def truncated(data: bytes) -> bytes:
    return data[:-1]


def emptied(data: bytes) -> bytes:
    return b""


def flipped(data: bytes) -> bytes:
    return data[:-10] + bytes([data[-10] ^ 1]) + data[-9:]


def of_another_format(data: bytes) -> bytes:
    return MAGIC + (FORMAT + 1).to_bytes(4, "little") + data[len(MAGIC) + 4 :]


def something_else(data: bytes) -> bytes:
    return b"\x89PNG" + data


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncated, "its end is missing"),
        (emptied, "its beginning is missing"),
        (flipped, "its checksum is wrong"),
        (of_another_format, f"its format is {FORMAT + 1}, not {FORMAT}"),
        (something_else, "it is no file of an engine"),
    ],
)
def test_a_damaged_file_is_reported_and_made_anew(
    backend: Darken, folder: Path, said: list[str], damage: Callable[[bytes], bytes], reason: str
) -> None:
    outcome(backend)
    path = only_file(folder)
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    assert outcome(backend) == "made"
    (message,) = said
    assert message.startswith(f"srcomp: {path} cannot be used and is made anew: ")
    assert reason in message
    assert outcome(backend) == "found"
    assert path.read_bytes().endswith(BUILT)


def test_a_file_under_the_name_of_another_is_made_anew(backend: Darken, folder: Path, said: list[str]) -> None:
    outcome(backend)
    path = only_file(folder)
    other = replace(backend, device="another")
    outcome(other)
    (other_path,) = set(folder.glob("*.engine")) - {path}
    path.write_bytes(other_path.read_bytes())
    assert outcome(backend) == "made"
    assert "it was made of something else than its name says" in said[0]


def test_a_file_that_the_library_refuses_is_made_anew_once(backend: Darken, folder: Path, said: list[str]) -> None:
    outcome(backend)
    updated = replace(backend, layout="2")
    assert [outcome(updated) for _ in range(2)] == ["made", "found"]
    (message,) = said
    assert message.endswith("is made anew: Darken refuses it: this is not what I have made")
    assert len(backend.builds()) == 2


class LosesItsWork(Darken):
    """Cannot load what it builds."""

    def build(self, network: Network, plane: PlaneFormat) -> bytes:
        super().build(network, plane)
        return b"nothing"


@pytest.mark.parametrize("stored_before", [False, True])
def test_an_engine_that_cannot_be_loaded_fresh_either_is_an_error_and_is_not_stored(
    backend: Darken, folder: Path, stored_before: bool
) -> None:
    if stored_before:
        outcome(replace(backend, layout="0"))
    # Under the same name, so that it finds the file.
    broken = type("Darken", (LosesItsWork,), {})(log=backend.log)
    with pytest.raises(
        vs.Error, match=r"^srcomp: \w+ cannot load what it has just made: this is not what I have made\n"
    ):
        outcome(broken)
    assert len(backend.builds()) == 1 + stored_before
    assert list(folder.glob("*.engine")) == []
    assert outcome(backend) == "made"


def test_what_cannot_be_compiled_leaves_nothing_behind(backend: Darken, folder: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Refuses(Darken):
        def build(self, network: Network, plane: PlaneFormat) -> bytes:
            raise vs.Error("srcomp: no such operator\nuse another network")

    with pytest.raises(vs.Error, match="no such operator"):
        outcome(Refuses(log=backend.log))
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


@pytest.mark.parametrize("place", ["file/in/the/way", "/proc/nowhere"])
def test_a_folder_that_cannot_be_made_is_told_once_and_nothing_fails(
    backend: Darken, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SRCOMP_CACHE_DIR", str(tmp_path / place))
    assert [outcome(backend), outcome(replace(backend, device="another"))] == ["not stored"] * 2
    (message,) = said
    assert message.startswith("srcomp: compiled networks cannot be stored: ")
    assert message.endswith("Set SRCOMP_CACHE_DIR to a folder that can be written to")
    assert engines_folder().exists() is False


def test_a_user_without_a_home_gets_no_folder_anywhere(
    backend: Darken, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("SRCOMP_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)

    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    assert outcome(backend) == "not stored"
    assert "home" in said[0]
    assert [path.name for path in tmp_path.iterdir()] == ["builds"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_read(backend: Darken, folder: Path, said: list[str]) -> None:
    outcome(backend)
    folder.chmod(0o500)
    try:
        assert outcome(backend) == "found"
        assert outcome(replace(backend, device="another")) == "not stored"
    finally:
        folder.chmod(0o700)
    assert len(said) == 1


def test_what_is_there_is_loaded_without_a_lock(backend: Darken, folder: Path, said: list[str]) -> None:
    # A folder in the lock's place cannot be opened for writing, not even by root.
    outcome(backend)
    path = only_file(folder)
    path.with_suffix(".lock").unlink()
    path.with_suffix(".lock").mkdir()
    assert outcome(backend) == "found"
    path.write_bytes(flipped(path.read_bytes()))
    assert outcome(backend) == "not stored"
    assert [message.split(": ", 2)[1] for message in said] == [
        f"{path} cannot be used",
        "compiled networks cannot be stored",
    ]


def test_a_full_disk_is_told_once_and_leaves_nothing_behind(
    backend: Darken, folder: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    # The limit is on the size of files, and exceeding it an error as a full disk is: EFBIG instead of ENOSPC.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        assert [outcome(backend), outcome(backend)] == ["not stored"] * 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said == [
        "srcomp: compiled networks cannot be stored: File too large; each process makes its own. "
        "Set SRCOMP_CACHE_DIR to a folder that can be written to"
    ]
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


def test_a_backend_whose_library_is_missing_says_so(backend: Darken) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Missing(Darken):
        def identity(self) -> dict[str, str]:
            raise vs.Error("srcomp: TensorRT is missing\npip install it")

    with pytest.raises(vs.Error, match="TensorRT is missing"):
        outcome(Missing(log=backend.log))


def test_two_processes_build_once(backend: Darken, gate: Path, another_program: Callable[[], Program]) -> None:
    first, second = another_program(), another_program()
    start(first)
    wait_until(lambda: len(backend.builds()) == 1)
    start(second)
    told = gate.with_name(f"{second.pid}.log")
    wait_until(lambda: told.exists() or len(backend.builds()) == 2)
    gate.touch()
    assert [program.communicate(timeout=60)[0] for program in (first, second)] == ["made\n", "found\n"]
    assert told.read_text() == "srcomp: another process is preparing the same network: waiting for it\n"
    assert not gate.with_name(f"{first.pid}.log").exists()
    assert len(backend.builds()) == 1


def test_a_process_that_is_killed_holds_nobody_up(backend: Darken, another_program: Callable[[], Program]) -> None:
    program = another_program()
    start(program)
    wait_until(lambda: len(backend.builds()) == 1)
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert outcome(backend) == "made"
    assert len(backend.builds()) == 2


def test_an_engine_that_is_being_made_is_not_removed(
    backend: Darken, gate: Path, another_program: Callable[[], Program]
) -> None:
    outcome(backend)
    (engine,) = listed()
    engine.path.write_bytes(flipped(engine.path.read_bytes()))
    program = another_program()
    start(program)
    wait_until(lambda: len(backend.builds()) == 2)
    assert not remove(engine)
    gate.touch()
    assert program.communicate(timeout=60)[0] == "made\n"
    assert outcome(backend) == "found"


def test_an_engine_used_since_it_was_looked_at_is_not_removed(backend: Darken) -> None:
    outcome(backend)
    (engine,) = listed()
    os.utime(engine.path, (0, 0))
    (engine,) = listed()
    assert outcome(backend) == "found"
    assert not remove(engine)
    (engine,) = listed()
    assert remove(engine)
    assert list(engine.path.parent.iterdir()) == []


@pytest.mark.parametrize("backend", ["None", "Darken(log=Path('builds'))"], ids=["default", "stored"])
def test_nothing_but_the_video_goes_to_standard_output(tmp_path: Path, backend: str) -> None:
    code = f"""
from pathlib import Path
import vapoursynth as vs
import vs_srcomp
from tests.storing_backend import Darken
clip = vs.core.std.BlankClip(width=32, height=16, format=vs.YUV420P8, length=2)
vs_srcomp.upscale(clip, q=40, backend={backend}).get_frame(0)
"""
    environment = {**os.environ, "SRCOMP_CACHE_DIR": str(tmp_path / "fresh"), "PYTHONPATH": str(ROOT)}
    for _ in ("build", "load"):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, check=True
        )
        assert done.stdout == b""
    if "Darken" in backend:
        assert len(list((tmp_path / "fresh" / "engines").glob("*.engine"))) == 1
        assert (tmp_path / "builds").read_text() == "64x32\n"
