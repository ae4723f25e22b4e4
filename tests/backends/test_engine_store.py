"""One engine per process for each network, backend and format, for any thread."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs

from tests.helpers.networks import BackendDouble, as_network, random_network
from tests.helpers.storing_backend import Darken
from vs_srcomp.backends import OpenVINO, engine_store
from vs_srcomp.backends.base import Engine, PlaneFormat
from vs_srcomp.backends.engine_store import MAX_ENGINES, get_engine, is_kept
from vs_srcomp.models import Network

NETWORK = as_network(random_network())
PLANE = PlaneFormat(32, 16, 8)


@pytest.fixture(autouse=True)
def _as_in_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SRCOMP_CACHE_DIR", str(tmp_path / "cache"))
    engine_store._alive.clear()
    engine_store._engines.clear()
    yield
    engine_store._alive.clear()
    engine_store._engines.clear()


@pytest.fixture
def backend(tmp_path: Path) -> Darken:
    return Darken(log=tmp_path / "builds")


@dataclass(frozen=True)
class Meeting(BackendDouble):
    """Stores nothing, and compiles only while others compile at the same time."""

    together: threading.Barrier = field(compare=False)

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        self.together.wait(timeout=20)
        return OpenVINO(precision="f32", threads=1).compile(network, plane)


class FailsOnce(Darken):
    """Refuses the first network."""

    def build(self, network: Network, plane: PlaneFormat) -> bytes:
        first = not self.builds()
        built = super().build(network, plane)
        if first:
            raise vs.Error("srcomp: not now\ntry again")
        return built


def test_one_engine_for_one_request(backend: Darken) -> None:
    assert get_engine(NETWORK, backend, PLANE) is get_engine(as_network(random_network()), replace(backend), PLANE)
    assert backend.builds() == ["32x16"]


def test_another_network_backend_or_plane_is_another_engine(backend: Darken, tmp_path: Path) -> None:
    engines = {
        get_engine(NETWORK, backend, PLANE),
        get_engine(as_network(random_network(seed=2)), backend, PLANE),
        get_engine(NETWORK, replace(backend, device="another"), PLANE),
        get_engine(NETWORK, backend, PlaneFormat(16, 32, 8)),
        get_engine(NETWORK, backend, PlaneFormat(32, 16, 10)),
    }
    assert len(engines) == 5
    assert len(list((tmp_path / "cache" / "engines").glob("*.engine"))) == 5


def test_threads_that_want_the_same_share_one_build(backend: Darken) -> None:
    slow = replace(backend, seconds=0.2)
    with ThreadPoolExecutor(8) as threads:
        engines = set(threads.map(lambda _: get_engine(NETWORK, slow, PLANE), range(8)))
    assert len(engines) == 1
    assert slow.builds() == ["32x16"]


def test_backends_that_differ_in_nothing_that_engines_depend_on_share_one_build(backend: Darken) -> None:
    backends = [replace(backend, seconds=0.2, workers=workers) for workers in (1, 2, 3)]
    with ThreadPoolExecutor(3) as threads:
        engines = set(threads.map(lambda each: get_engine(NETWORK, each, PLANE), backends))
    assert len(engines) == 3
    assert backend.builds() == ["32x16"]


def test_threads_that_want_different_engines_do_not_wait_for_each_other() -> None:
    backend = Meeting(threading.Barrier(3))
    planes = [PlaneFormat(width, 8, 8) for width in (8, 16, 24)]
    with ThreadPoolExecutor(3) as threads:
        engines = list(threads.map(lambda plane: get_engine(NETWORK, backend, plane), planes))
    assert len(set(engines)) == 3


def test_a_build_that_fails_can_be_tried_again(tmp_path: Path) -> None:
    backend = FailsOnce(log=tmp_path / "builds")
    with pytest.raises(vs.Error, match="not now"):
        get_engine(NETWORK, backend, PLANE)
    assert get_engine(NETWORK, backend, PLANE) is get_engine(NETWORK, backend, PLANE)
    assert len(backend.builds()) == 2


def test_of_threads_that_wait_for_a_build_that_fails_the_next_one_tries(tmp_path: Path) -> None:
    backend = FailsOnce(log=tmp_path / "builds", seconds=0.2)
    with ThreadPoolExecutor(4) as threads:
        tries = [threads.submit(get_engine, NETWORK, backend, PLANE) for _ in range(4)]
    failures = [each.exception() for each in tries if each.exception()]
    assert len(failures) == 1
    assert len({each.result() for each in tries if not each.exception()}) == 1
    assert len(backend.builds()) == 2


def test_the_engine_used_longest_ago_goes_first(backend: Darken) -> None:
    planes = [PlaneFormat(8, 8 + n, 8) for n in range(MAX_ENGINES)]
    first, *_ = [get_engine(NETWORK, backend, plane) for plane in planes]
    assert get_engine(NETWORK, backend, planes[0]) is first
    get_engine(NETWORK, backend, PLANE)
    assert is_kept(NETWORK, backend, planes[0])
    assert not is_kept(NETWORK, backend, planes[1])


def test_what_a_worker_holds_is_not_compiled_again(backend: Darken) -> None:
    planes = [PlaneFormat(8, 8 + n, 8) for n in range(MAX_ENGINES + 1)]
    held = get_engine(NETWORK, backend, planes[0])
    for plane in planes[1:]:
        get_engine(NETWORK, backend, plane)
    assert not is_kept(NETWORK, backend, planes[0])
    assert get_engine(NETWORK, backend, planes[0]) is held
    assert is_kept(NETWORK, backend, planes[0])
    assert len(engine_store._engines) == MAX_ENGINES


def test_tiles_take_the_engine_of_pictures_of_their_size(backend: Darken, tmp_path: Path) -> None:

    tiled = replace(backend, tile=200)
    codes = np.random.default_rng(0).integers(0, 256, (100, 600)).astype(np.uint8)
    target = np.zeros_like(codes)
    get_engine(NETWORK, tiled, PlaneFormat(600, 100, 8)).worker().restore(codes, target)
    assert np.array_equal(target, codes // 2)
    (built,) = backend.builds()
    width, height = map(int, built.split("x"))
    assert width <= 200
    get_engine(NETWORK, backend, PlaneFormat(width, height, 8))
    assert len(backend.builds()) == len(list((tmp_path / "cache" / "engines").glob("*.engine"))) == 1


def test_an_engine_for_which_memory_is_short_today_is_kept_and_tiles_are_taken(backend: Darken, tmp_path: Path) -> None:
    plane = PlaneFormat(1024, 512, 8)
    get_engine(NETWORK, backend, plane)
    short = replace(backend, memory=512 * 512)
    codes = np.full((512, 1024), 9, np.uint8)
    target = np.zeros_like(codes)
    get_engine(NETWORK, short, plane).worker().restore(codes, target)
    assert (target == 4).all()
    assert backend.builds()[0] == "1024x512"
    assert "1024x512" not in backend.builds()[1:]
    assert len(list((tmp_path / "cache" / "engines").glob("*.engine"))) == 2
