"""Engines on disk: built once, never confused with another, and never an obstacle."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import vapoursynth as vs

from tests.helpers.networks import as_network, random_network
from tests.helpers.storing_backend import Darken
from vs_srcomp.backends.base import PlaneFormat, StoringBackend
from vs_srcomp.backends.engine_files import engines_folder
from vs_srcomp.backends.engine_store import prepare
from vs_srcomp.models import Network

NETWORK = as_network(random_network())
PLANE = PlaneFormat(32, 16, 8)
ROOT = Path(__file__).resolve().parents[2]

# Asks for the engine, as another program would.
ANOTHER_PROGRAM = """
import sys
from pathlib import Path
from tests.helpers.networks import as_network, random_network
from tests.helpers.storing_backend import Darken
from vs_srcomp.backends.base import PlaneFormat
from vs_srcomp.backends.engine_store import prepare
network = as_network(random_network())
backend = Darken(log=Path(sys.argv[1]), gate=Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
prepare(network, backend, PlaneFormat(32, 16, 8))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of engines, which does not exist yet."""
    monkeypatch.setenv("SRCOMP_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.fixture
def backend(tmp_path: Path) -> Darken:
    return Darken(log=tmp_path / "builds")


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.engine")
    return path


def test_an_engine_is_built_once_and_found_from_then_on(backend: Darken, folder: Path) -> None:
    for _ in range(3):
        prepare(NETWORK, backend, PLANE)
    assert len(backend.builds()) == 1
    assert only_file(folder).name.startswith(f"Darken-{NETWORK.sha256[:16]}-32x16-8bit-")


def test_the_folder_is_the_users_cache_unless_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SRCOMP_CACHE_DIR", "here")
    assert engines_folder() == tmp_path / "here" / "engines"
    monkeypatch.setenv("SRCOMP_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert engines_folder() == tmp_path / "xdg" / "vs-srcomp" / "engines"


def test_whatever_an_engine_depends_on_makes_it_another(
    backend: Darken, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Another(Darken):
        pass

    asked: list[tuple[Network, StoringBackend, PlaneFormat]] = [
        (NETWORK, backend, PLANE),
        (as_network(random_network(seed=2)), backend, PLANE),
        (as_network(random_network(), stride=4), backend, PLANE),
        (NETWORK, replace(backend, device="another"), PLANE),
        (NETWORK, replace(backend, precision="bf16"), PLANE),
        (NETWORK, Another(log=backend.log), PLANE),
        (NETWORK, backend, PlaneFormat(16, 32, 8)),
        (NETWORK, backend, PlaneFormat(32, 16, 10)),
    ]
    for _ in range(2):
        for each in asked:
            prepare(*each)
    assert len(backend.builds()) == len(list(folder.glob("*.engine"))) == len(asked)
    monkeypatch.setattr("vs_srcomp.__version__", "the next release")
    prepare(NETWORK, backend, PLANE)
    assert len(backend.builds()) == len(asked) + 1


@pytest.mark.parametrize("damaged", [b"", b"\x89PNG"])
def test_a_file_that_the_library_refuses_is_replaced(
    backend: Darken, folder: Path, messages: list[str], damaged: bytes
) -> None:
    prepare(NETWORK, backend, PLANE)
    path = only_file(folder)
    sound = path.read_bytes()
    path.write_bytes(damaged)
    prepare(NETWORK, backend, PLANE)
    assert messages == [f"{path} cannot be used and is replaced: this is not what I have made"]
    assert path.read_bytes() == sound


def test_a_build_that_fails_leaves_nothing_but_the_lock(backend: Darken, folder: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Refuses(Darken):
        def build(self, network: Network, plane: PlaneFormat) -> bytes:
            raise vs.Error("srcomp: no such operator\nuse another network")

    with pytest.raises(vs.Error, match="no such operator"):
        prepare(NETWORK, Refuses(log=backend.log), PLANE)
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


@pytest.mark.parametrize("place", ["file/in/the/way", "/proc/nowhere"])
def test_where_nothing_can_be_stored_one_message_is_written_and_nothing_fails(
    backend: Darken, tmp_path: Path, messages: list[str], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SRCOMP_CACHE_DIR", str(tmp_path / place))
    for each in (backend, replace(backend, device="another")):
        prepare(NETWORK, each, PLANE)
    (message,) = messages
    assert message.startswith("compiled networks cannot be stored: ")
    assert message.endswith("Set SRCOMP_CACHE_DIR to a folder that can be written to")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_read(backend: Darken, folder: Path, messages: list[str]) -> None:
    prepare(NETWORK, backend, PLANE)
    folder.chmod(0o500)
    try:
        prepare(NETWORK, backend, PLANE)
        assert not messages
        prepare(NETWORK, replace(backend, device="another"), PLANE)
    finally:
        folder.chmod(0o700)
    assert len(messages) == 1


type Program = subprocess.Popen[str]


@pytest.fixture
def another_program(backend: Darken, tmp_path: Path) -> Iterator[Callable[[], Program]]:
    """Start another process that requests the engine; it ends when the file ``gate`` exists."""
    made: list[Program] = []

    def make() -> Program:
        argv = [sys.executable, "-c", ANOTHER_PROGRAM, str(backend.log), str(tmp_path / "gate")]
        program = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        made.append(program)
        assert program.stdin
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        program.stdin.write("\n")
        program.stdin.flush()
        return program

    yield make
    for program in made:
        program.kill()
        program.communicate()


def wait_until(happens: Callable[[], bool]) -> None:
    """Wait for other processes, with a time limit."""
    end = time.monotonic() + 120
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_two_processes_build_once(backend: Darken, tmp_path: Path, another_program: Callable[[], Program]) -> None:
    first = another_program()
    wait_until(lambda: len(backend.builds()) == 1)
    second = another_program()
    (tmp_path / "gate").touch()
    assert [program.wait(timeout=120) for program in (first, second)] == [0, 0]
    assert len(backend.builds()) == 1


def test_a_process_that_is_killed_leaves_no_lock(backend: Darken, another_program: Callable[[], Program]) -> None:
    program = another_program()
    wait_until(lambda: len(backend.builds()) == 1)
    program.send_signal(signal.SIGKILL)
    program.wait()
    prepare(NETWORK, backend, PLANE)
    assert len(backend.builds()) == 2


def test_nothing_but_the_video_goes_to_standard_output(tmp_path: Path) -> None:
    code = """
from pathlib import Path
import vapoursynth as vs
import vs_srcomp
from tests.helpers.storing_backend import Darken
clip = vs.core.std.BlankClip(width=32, height=16, format=vs.YUV420P8, length=2)
vs_srcomp.upscale(clip, q=40, backend=Darken(log=Path("builds"))).get_frame(0)
"""
    environment = {**os.environ, "SRCOMP_CACHE_DIR": str(tmp_path / "fresh"), "PYTHONPATH": str(ROOT)}
    for _ in ("build", "load"):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, check=True
        )
        assert done.stdout == b""
    assert len(list((tmp_path / "fresh" / "engines").glob("*.engine"))) == 1
