"""Reuse: the same to the bit as without, in any order, within bounds, and no inference where nothing has changed."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino
import pytest
import vapoursynth as vs

import vs_srcomp
from tests.helpers.networks import (
    Evaluated,
    EvaluatedEngine,
    as_network,
    random_doubler,
    random_level_network,
    random_network,
)
from tests.helpers.pictures import picture
from vs_srcomp import reuse
from vs_srcomp.backends import OpenVINO
from vs_srcomp.backends.base import Around, BackendConfig, Engine, Luma, PlaneFormat, Worker
from vs_srcomp.backends.openvino.parts import WITH_BORDERS, Directions
from vs_srcomp.models import Network, load_network, models, network_at
from vs_srcomp.models.inspection import margin_of
from vs_srcomp.processor import has_amx, has_bf16
from vs_srcomp.reuse.engine import ReusingEngine, restored_part
from vs_srcomp.reuse.memory import Memory, Picture, bytes_of
from vs_srcomp.reuse.windows import BLOCK, Rectangle, Windows, rectangles

PLANE = PlaneFormat(192, 128, 8)
NETWORK = as_network(random_network())
UNITS = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(autouse=True)
def speed_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    # Which windows are worthwhile would depend on it.
    monkeypatch.setattr(Windows, "measure", lambda windows, seconds: None)


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    reuse.forget()
    yield
    reuse.forget()


@dataclass(frozen=True)
class Counting(Evaluated):
    """A backend that counts the pixels it computes, can divide planes, and can fail or be held up."""

    divides: bool = True

    def compile(self, network: Network, plane: PlaneFormat) -> "CountingEngine":
        return CountingEngine(network, plane)

    def compile_parts(self, network: Network, bits: int, margin: int) -> "CountingParts | None":
        return CountingParts(CountingEngine(network, None, bits)) if self.divides else None


class CountingEngine:
    def __init__(self, network: Network, plane: PlaneFormat | None, bits: int = 8) -> None:
        self.network = network
        self.plane = plane
        self.bits = bits
        self.pixels = 0
        self.failures = 0
        self.gate = threading.Event()
        self.gate.set()
        self.lock = threading.Lock()

    def worker(self) -> "CountingEngine":
        return self

    def restore(self, source: Luma, target: Luma) -> None:
        plane = self.plane or PlaneFormat(source.shape[1], source.shape[0], self.bits)
        self.gate.wait(10)
        with self.lock:
            self.pixels += source.size
            if self.failures:
                self.failures -= 1
                raise RuntimeError("the device is gone")
        EvaluatedEngine(self.network, plane).restore(source, target)


class CountingParts:
    """Computes the whole window, and gives the part."""

    def __init__(self, engine: CountingEngine) -> None:
        self.engine = engine

    def worker(self) -> "CountingParts":
        return self

    def restore(self, window: Luma, around: Around, target: Luma) -> None:
        whole = np.empty_like(window)
        self.engine.restore(window, whole)
        np.copyto(target, whole[around.top :, around.left :][: target.shape[0], : target.shape[1]])


def remembering(
    backend: BackendConfig, network: Network = NETWORK, plane: PlaneFormat = PLANE, memory: Memory | None = None
) -> tuple[Engine, ReusingEngine]:
    """An engine, and the same with a memory of its own."""
    engine = backend.compile(network, plane)
    return engine, ReusingEngine(engine, network, backend, plane, memory or Memory())


def restored(worker: Worker, source: Luma, scale: int = 1) -> Luma:
    target = np.zeros((source.shape[0] * scale, source.shape[1] * scale), source.dtype)
    worker.restore(source, target)
    return target


def changing(plane: PlaneFormat, count: int, seed: int = 0) -> list[Luma]:
    """A still picture with things that move, come and go, and at times another picture."""
    rng = np.random.default_rng(seed)
    pictures = [picture(plane, number) for number in range(2)]
    frames = []
    for number in range(count):
        frame = pictures[number % 11 == 10].copy()
        for _ in range(rng.integers(0, 3)):
            y, x = rng.integers(0, plane.height - 8), rng.integers(0, plane.width - 8)
            height, width = rng.integers(1, 24, 2)
            frame[y : y + height, x : x + width] = rng.integers(0, plane.peak)
        frames.append(frame)
    return frames


# Of windows


@pytest.mark.parametrize("margin", [0, 6, 24])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (188, 124), (640, 360)])
def test_windows_hold_all_blocks_and_what_they_depend_on(width: int, height: int, margin: int) -> None:
    rng = np.random.default_rng(width + margin)
    windows = Windows(width, height, margin)
    for share in (0.002, 0.02, 0.2, 0.9):
        blocks = rng.random((-(-height // BLOCK), -(-width // BLOCK))) < share
        held = np.zeros((height, width), int)
        for part in windows.cover(blocks):
            held[part.scaled(1)] += 1
            window = windows.window(part)
            box, around, given = window.pixels, window.around, window.part
            assert 0 <= box.left <= given.left <= part.left
            assert 0 <= box.top <= given.top <= part.top
            assert width >= box.right >= given.right >= part.right
            assert height >= box.bottom >= given.bottom >= part.bottom
            # Nothing is missing but what is beyond the plane.
            for beside, is_border in zip(
                around, (box.left == 0, box.top == 0, box.right == width, box.bottom == height), strict=True
            ):
                assert beside == margin or (beside == 0 and is_border)
            assert windows.cost(window) <= box.pixels + windows.call
        pixels = blocks.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]
        assert held[pixels].all()
        assert held.max(initial=0) <= 1
        again = np.zeros((height, width), bool)
        for part in rectangles(blocks, width, height):
            again[part.scaled(1)] = True
        assert np.array_equal(again, pixels)


def test_windows_cost_more_pixels_where_these_are_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    windows = Windows(640, 480, 24)
    part = Rectangle(64, 64, 128, 128)
    before = windows.cost(windows.window(part))
    windows.measure(0.02)
    windows.measure(0.05)
    assert windows.call == round(0.45e-3 / (0.02 / (640 * 480)))
    slow = windows.call
    windows.measure(0.002)
    assert windows.call == pytest.approx(10 * slow, rel=1e-3)
    assert windows.cost(windows.window(part)) > before
    # Far corners are one window where calls cost more than what lies between.
    corners = np.zeros((60, 80), bool)
    corners[2, 2] = corners[20, 20] = True
    assert len(Windows(640, 480, 24).cover(corners)) == 2
    assert len(windows.cover(corners)) == 1


def test_two_far_apart_corners_are_two_windows() -> None:
    blocks = np.zeros((90, 160), bool)
    blocks[0, 0] = blocks[89, 159] = True
    assert Windows(1280, 720, 24).cover(blocks) == [Rectangle(0, 0, 8, 8), Rectangle(1272, 712, 1280, 720)]


def test_a_window_takes_a_size_that_is_little_larger_than_it_need_be() -> None:
    windows = Windows(1920, 1080, 24)

    def size(width: int, height: int) -> tuple[int, int]:
        box = windows.window(Rectangle(400, 400, 400 + width, 400 + height)).pixels
        return box.right - box.left, box.bottom - box.top

    large = size(200, 200)
    assert size(192, 192) == size(176, 200) == large
    assert size(80, 80) != large
    # Those at a border are computed by other code.
    assert windows.window(Rectangle(0, 400, 168, 600)).kind == (False, True)
    for _ in range(3):
        for length in range(400, 960, 8):
            assert all(
                had >= asked for had, asked in zip(size(length, 1000 - length), (length, 1000 - length), strict=True)
            )


def test_a_change_reaches_as_far_as_the_margin() -> None:
    changed = np.zeros((40, 40), bool)
    changed[20, 20] = True
    for margin, steps in ((0, 0), (6, 1), (8, 1), (24, 3)):
        reached = Windows(320, 320, margin).reach(changed)
        expected = np.zeros_like(changed)
        expected[20 - steps : 21 + steps, 20 - steps : 21 + steps] = True
        assert np.array_equal(reached, expected)


def test_margins_are_those_that_the_networks_have() -> None:
    # A first layer of 6 pixels in steps of 2, and a layer of 3 cells: 2 pixels and 1 cell of 2 around a cell.
    assert margin_of(NETWORK) == 4
    for model in models():
        network = network_at(load_network(model), 40)
        margin = margin_of(network)
        assert margin is not None
        assert network.receptive_field is not None
        assert margin % network.stride == 0
        assert margin <= network.receptive_field // 2 + network.stride


# Of the memory


def test_memory_is_bounded_and_forgets_what_was_used_least_recently() -> None:
    shape = (64, 64)
    each = bytes_of(shape, shape, np.dtype(np.uint8))
    memory = Memory(4 * each)
    planes = [np.full(shape, number, np.uint8) for number in range(4)]
    for plane in planes[:3]:
        found = memory.put("key", plane, shape)
        assert found.picture
        memory.finish(found.picture)
        memory.release(found.others)
    # The first is used again, so that the second is the one to go.
    same = memory.put("key", planes[0], shape).same
    assert same
    memory.release([same])
    found = memory.put("key", planes[3], shape)
    assert found.picture
    assert memory.bytes <= 4 * each
    memory.finish(found.picture)
    memory.release(found.others)
    # To look for one takes the room of another.
    assert [memory.put("key", planes[number], shape).same is not None for number in (0, 2, 3, 1)] == [True] * 3 + [
        False
    ]
    assert memory.bytes <= 4 * each
    assert memory.put("another key", planes[0], shape).same is None


def test_planes_that_are_put_in_at_once_keep_the_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (64, 64)
    memory = Memory(2 * bytes_of(shape, shape, np.dtype(np.uint8)))
    take_in = Picture.take_in
    inner: list[Picture | None] = []

    def during(taken: Picture, key: object, source: Luma) -> None:
        # What other workers do meanwhile.
        if len(inner) < 2:
            inner.append(memory.put("key", source + np.uint8(1), shape).picture)
        assert memory.bytes <= 2 * taken.bytes
        take_in(taken, key, source)

    monkeypatch.setattr(Picture, "take_in", during)
    assert memory.put("key", np.zeros(shape, np.uint8), shape).picture
    assert sum(found is not None for found in inner) == 1


def test_nothing_is_dropped_for_a_plane_that_has_no_room_even_then() -> None:
    shape = (64, 64)
    memory = Memory(2 * bytes_of(shape, shape, np.dtype(np.uint8)))
    unused = memory.put("key", np.zeros(shape, np.uint8), shape).picture
    assert unused
    memory.finish(unused)
    assert memory.put("another", np.ones(shape, np.uint8), shape).picture  # in use from now on
    larger = (96, 64)
    assert memory.put("key", np.ones(larger, np.uint8), larger).picture is None
    assert memory.bytes == 2 * bytes_of(shape, shape, np.dtype(np.uint8))


def test_a_plane_for_which_there_is_no_room_is_computed() -> None:
    engine, remembered = remembering(Counting(), memory=Memory(1000))
    worker = remembered.worker()
    for _ in range(2):
        assert np.array_equal(restored(worker, picture(PLANE)), restored(engine.worker(), picture(PLANE)))
    assert remembered.memory.bytes == 0


def test_there_is_room_in_a_full_memory_while_others_work() -> None:
    shape = (64, 64)
    memory = Memory(8 * bytes_of(shape, shape, np.dtype(np.uint8)))
    rng = np.random.default_rng(1)
    plane = rng.integers(0, 255, shape).astype(np.uint8)
    for number in range(8):
        plane[0, 0] = number
        found = memory.put("key", plane, shape)
        assert found.picture
        memory.finish(found.picture)
        memory.release(found.others)
    for number in range(8, 11):
        plane[0, 0] = number
        found = memory.put("key", plane, shape)
        assert found.picture
        assert found.others


def test_1080p_takes_64_megabytes_at_most_at_any_depth() -> None:
    for bits in (8, 10):
        plane = PlaneFormat(1920, 1080, bits)
        memory = Memory()
        for number in range(20):
            found = memory.put("key", np.full((1080, 1920), number, plane.dtype), (1080, 1920))
            assert found.picture
            memory.finish(found.picture)
            memory.release(found.others)
            assert memory.bytes <= 64_000_000
        assert memory.bytes > 48_000_000


# Of what is computed


def test_identical_planes_cost_no_inference() -> None:
    engine, remembered = remembering(Counting(divides=False))
    assert isinstance(engine, CountingEngine)
    expected = restored(EvaluatedEngine(NETWORK, PLANE), picture(PLANE))
    for worker in (remembered.worker(), remembered.worker()):
        for _ in range(3):
            assert np.array_equal(restored(worker, picture(PLANE)), expected)
    assert engine.pixels == PLANE.width * PLANE.height


def test_a_small_change_costs_a_small_inference() -> None:
    engine, remembered = remembering(Counting())
    assert isinstance(engine, CountingEngine)
    worker = remembered.worker()
    frames = [picture(PLANE) for _ in range(4)]
    for number, frame in enumerate(frames):
        frame[40:48, 64 + 8 * number : 72 + 8 * number] ^= 1
    for frame in frames[:2]:
        restored(worker, frame)
    # The first change has also tried out parts.
    whole = engine.pixels
    assert isinstance(remembered.parts, CountingParts)
    parts = remembered.parts.engine
    parts.pixels = 0
    for frame in frames[2:]:
        assert np.array_equal(restored(worker, frame), restored(EvaluatedEngine(NETWORK, PLANE), frame))
    assert engine.pixels == whole
    assert 0 < parts.pixels < 2 * 0.2 * PLANE.width * PLANE.height


def four_at_once(engine: CountingEngine, remembered: ReusingEngine) -> list[Future[Luma]]:
    """The finished results of four workers that get the same plane at the same time."""
    engine.gate.clear()
    with ThreadPoolExecutor(4) as threads:
        results = [threads.submit(restored, remembered.worker(), picture(PLANE)) for _ in range(4)]
        deadline = time.monotonic() + 10
        try:
            while remembered.memory.bytes == 0:
                assert time.monotonic() < deadline, "no worker has begun"
                time.sleep(0.001)
        finally:
            engine.gate.set()
        assert not wait(results, 10).not_done
    return results


def test_frames_at_the_same_time_wait_for_each_other_and_do_not_compute_twice() -> None:
    engine, remembered = remembering(Counting(workers=4))
    assert isinstance(engine, CountingEngine)
    expected = restored(EvaluatedEngine(NETWORK, PLANE), picture(PLANE))
    results = four_at_once(engine, remembered)
    assert all(np.array_equal(result.result(), expected) for result in results)
    assert engine.pixels == PLANE.width * PLANE.height


def test_a_failure_is_that_of_its_frame_alone() -> None:
    engine, remembered = remembering(Counting(workers=4))
    assert isinstance(engine, CountingEngine)
    engine.failures = 1
    expected = restored(EvaluatedEngine(NETWORK, PLANE), picture(PLANE))
    results = four_at_once(engine, remembered)
    assert sum(result.exception() is not None for result in results) == 1
    assert all(np.array_equal(result.result(), expected) for result in results if result.exception() is None)
    assert np.array_equal(restored(remembered.worker(), picture(PLANE)), expected)


def test_a_backend_whose_parts_differ_gives_whole_planes() -> None:
    @dataclass(frozen=True)
    class Rounding(Counting):
        def compile_parts(self, network: Network, bits: int, margin: int) -> CountingParts:
            return CountingParts(CountingEngine(as_network(random_network(seed=2)), None, bits))

    engine, remembered = remembering(Rounding())
    worker = remembered.worker()
    frames = [picture(PLANE) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame[40:48, 8 * number : 8 * number + 8] ^= 1
        assert np.array_equal(restored(worker, frame), restored(engine.worker(), frame))
    assert remembered.parts is None


@pytest.mark.parametrize("order", ["forwards", "backwards", "random", "four workers"])
def test_the_result_does_not_depend_on_the_order(order: str) -> None:
    frames = changing(PLANE, 60)
    engine, remembered = remembering(Counting(workers=4), memory=Memory(10 * 2 * PLANE.width * PLANE.height))
    expected = [restored(engine.worker(), frame) for frame in frames]
    rng = np.random.default_rng(5)
    numbers = {
        "forwards": range(60),
        "backwards": range(59, -1, -1),
        "random": rng.integers(0, 60, 120).tolist(),
        "four workers": [*range(60), *range(60)],
    }[order]
    workers = [remembered.worker() for _ in range(4 if order == "four workers" else 1)]

    def work(turn: int) -> bool:
        return all(
            np.array_equal(restored(workers[turn], frames[n]), expected[n]) for n in numbers[turn :: len(workers)]
        )

    with ThreadPoolExecutor(len(workers)) as threads:
        assert all(threads.map(work, range(len(workers))))
    assert remembered.parts is not None


def test_where_parts_cannot_be_compiled_whole_pictures_are_reused(
    monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    def refuse(backend: Counting, network: Network, bits: int, margin: int) -> None:
        raise vs.Error("srcomp: the network does not take a plane of 48x48\ngive another one")

    monkeypatch.setattr(Counting, "compile_parts", refuse)
    engine, remembered = remembering(Counting())
    worker = remembered.worker()
    for frame in changing(PLANE, 4):
        assert np.array_equal(restored(worker, frame), restored(engine.worker(), frame))
    assert remembered.parts is None
    reason = "only whole pictures are taken from memory: the network does not take a plane of 48x48"
    assert any(reason in message for message in messages)


def test_parts_wait_for_a_picture_that_shows_something() -> None:
    engine, remembered = remembering(Counting())
    worker = remembered.worker()
    flat = np.full((PLANE.height, PLANE.width), 16, np.uint8)
    for number in range(3):
        flat[40:48, 8 * number : 8 * number + 8] += 1
        assert np.array_equal(restored(worker, flat), restored(engine.worker(), flat))
    assert remembered.parts is None
    frame = picture(PLANE)
    for number in range(3):
        frame[40:48, 8 * number : 8 * number + 8] ^= 1
        assert np.array_equal(restored(worker, frame), restored(engine.worker(), frame))
    assert remembered.parts is not None


@pytest.mark.parametrize(("width", "height"), [(160, 96), (320, 180), (640, 360), (1920, 1080)])
@pytest.mark.parametrize("margin", [16, 28])
def test_samples_of_a_kind_have_different_sizes(width: int, height: int, margin: int) -> None:
    windows = Windows(width, height, margin)
    for kind in ((False, False), (True, False), (False, True), (True, True)):
        samples = windows.samples(kind)
        assert {window.kind for window in samples} == {kind}
        sizes = {(box.right - box.left, box.bottom - box.top) for box in (window.pixels for window in samples)}
        assert len(sizes) > 1
        assert max(across for across, _ in sizes) == width


@pytest.mark.parametrize("name", ["fsrcnn-2x", "espcn-2x", "srcomp-light-2by1"])
def test_a_stream_of_several_threads_gives_the_same(name: str) -> None:
    """Sums of transposed convolutions would depend on the size of a window."""
    network = load_network(next(model for model in models() if model.name == name))
    network = network_at(network, 40)
    plane = PlaneFormat(320, 192, 16)
    engine, remembered = remembering(OpenVINO(precision="f32", threads=2, streams=1), network, plane)
    plain, worker = engine.worker(), remembered.worker()
    for frame in changing(plane, 60):
        assert np.array_equal(restored(worker, frame, network.scale), restored(plain, frame, network.scale))
    if name.startswith("fsrcnn"):
        assert remembered.parts is None


@pytest.mark.parametrize("precision", ["f32", "int8", "bf16"])
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("name", ["srcomp-light-2by1", "srcomp-fast-8by5"])
def test_openvino_gives_parts_as_the_whole(name: str, bits: int, precision: str) -> None:
    backend = OpenVINO(precision=precision, threads=1, streams=1)  # type: ignore[arg-type]
    if precision == "bf16" and not (has_bf16() and "BF16" in UNITS):
        pytest.skip("this processor has no units for bfloat16")
    network = network_at(load_network(next(model for model in models() if model.name == name)), 40)
    plane = PlaneFormat(480, 272, bits)
    engine, remembered = remembering(backend, network, plane)
    plain, worker = engine.worker(), remembered.worker()
    reused = reuse.counts.reused
    for frame in changing(plane, 30):
        assert np.array_equal(restored(worker, frame), restored(plain, frame))
    if precision == "bf16" and not has_amx():
        assert remembered.parts is None
        return
    assert remembered.parts is not None
    assert reuse.counts.reused - reused > 0.4 * 30 * plane.width * plane.height


# Left, top, right and bottom edges in a plane of 480x272: each corner, each side, the middle, and all of a direction.
PARTS = [
    (0, 0, 64, 56),
    (416, 0, 480, 56),
    (0, 216, 64, 272),
    (400, 216, 480, 272),
    (0, 104, 120, 160),
    (400, 104, 480, 160),
    (200, 0, 320, 48),
    (200, 224, 320, 272),
    (200, 104, 328, 160),
    (0, 104, 480, 112),
    (200, 0, 208, 272),
    (24, 24, 456, 248),
    (8, 8, 16, 16),
]


def wrong_parts(backend: OpenVINO, network: Network, plane: PlaneFormat) -> list[Rectangle]:
    """Those of `PARTS` that do not come out as of the whole plane."""
    margin = margin_of(network)
    assert margin is not None
    engine = backend.compile_parts(network, plane.bits, margin)
    assert engine is not None
    worker, windows, source = engine.worker(), Windows(plane.width, plane.height, margin), picture(plane)
    whole = restored(backend.compile(network, plane).worker(), source, network.scale)
    asked = [windows.window(Rectangle(*edges)) for edges in PARTS]
    return [
        window.part
        for window in asked
        if not np.array_equal(
            restored_part(worker, window, source, network.scale), whole[window.part.scaled(network.scale)]
        )
    ]


@pytest.mark.parametrize("precision", ["f32", "int8", "bf16"])
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("name", ["srcomp-light-2by1", "srcomp-fast-2by1", "srcomp-fast-4by3", "srcomp-quality-8by5"])
def test_openvino_gives_parts_anywhere_as_of_the_whole(name: str, bits: int, precision: str) -> None:
    backend = OpenVINO(precision=precision, threads=1, streams=1)  # type: ignore[arg-type]
    network = network_at(load_network(next(model for model in models() if model.name == name)), 40)
    if precision == "bf16" and not has_amx():
        pytest.skip("only whole pictures are reused in bfloat16 without matrix units")
    assert wrong_parts(backend, network, PlaneFormat(480, 272, bits)) == []


def test_layers_of_our_networks_compute_no_more_than_the_next_ones_need() -> None:
    for model in (model for model in models() if model.tier):
        network = network_at(load_network(model), 40)
        margin = margin_of(network)
        assert margin is not None
        engine = OpenVINO(threads=1, streams=1).compile_parts(network, 8, margin)
        assert engine is not None
        kind = Directions(horizontally=True, vertically=True)
        assert engine.compiled(kind).without_borders == kind


@pytest.mark.parametrize(
    "network",
    [
        as_network(random_doubler(), stride=1, scale=2, receptive_field=7),
        network_at(as_network(random_level_network(residual=True), stride=4, takes_level=True), 40),
    ],
    ids=["enlarges", "residual"],
)
def test_networks_that_are_no_plain_stack_are_computed_with_what_is_around_parts(network: Network) -> None:
    backend = OpenVINO(precision="f32", threads=1, streams=1)
    margin = margin_of(network)
    assert margin is not None
    engine = backend.compile_parts(network, 8, margin)
    assert engine is not None
    assert engine.compiled(Directions(horizontally=True, vertically=True)).without_borders == WITH_BORDERS
    assert wrong_parts(backend, network, PlaneFormat(480, 272, 8)) == []


def test_a_network_that_enlarges_is_divided_too() -> None:
    network = as_network(random_doubler(), stride=1, scale=2, receptive_field=7)
    engine, remembered = remembering(OpenVINO(precision="f32", threads=1), network)
    plain, worker = engine.worker(), remembered.worker()
    for frame in changing(PLANE, 12):
        assert np.array_equal(restored(worker, frame, 2), restored(plain, frame, 2))
    assert remembered.parts is not None


@pytest.mark.parametrize(
    ("width", "stride", "field"), [(191, 2, 34), (192, 3, 34), (192, 2, None)], ids=["off grid", "stride 3", "global"]
)
def test_what_cannot_be_divided_is_still_found_as_a_whole(width: int, stride: int, field: int | None) -> None:
    plane = PlaneFormat(width, 126, 8)
    network = Network(onnx=random_network(), sha256=str(stride), stride=stride, receptive_field=field)

    class Plain:
        calls = 0

        def worker(self) -> "Plain":
            return self

        def restore(self, source: Luma, target: Luma) -> None:
            Plain.calls += 1
            np.copyto(target, 255 - source)

    remembered = ReusingEngine(Plain(), network, Counting(), plane, Memory())
    worker = remembered.worker()
    first, second = picture(plane), picture(plane)
    second[0, 0] ^= 1
    for frame in (first, second, first, second):
        assert np.array_equal(restored(worker, frame), 255 - frame)
    assert Plain.calls == 2
    assert remembered.windows is None


# Of whole clips


def frames_of(clip: vs.VideoNode) -> list[tuple[list[np.ndarray], dict[str, object]]]:
    return [
        ([np.array(frame[plane]) for plane in range(frame.format.num_planes)], dict(frame.props))
        for frame in clip.frames(close=True)
    ]


@pytest.mark.parametrize("precision", ["f32", "int8"])
@pytest.mark.parametrize("name", ["gpac_444.ivf", "sample_av1.mkv", "hdr10-av1.mp4"])
def test_clips_are_the_same_with_and_without(name: str, precision: str, shared_data: Path) -> None:
    backend = OpenVINO(precision=precision)  # type: ignore[arg-type]
    clip = vs_srcomp.source(shared_data / "av1" / name)[:6]
    # A quarter of the picture, as 10-bit clips here are large.
    clip = clip.std.CropAbs(clip.width // 4 * 2, clip.height // 4 * 2, clip.width // 8 * 2, clip.height // 8 * 2)
    reused = reuse.counts.reused
    once, again = (frames_of(vs_srcomp.upscale(clip, model="light", backend=backend, reuse=on)) for on in (True, False))
    for (planes, props), (expected, expected_props) in zip(once, again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(planes, expected, strict=True))
        assert props == expected_props
    if name != "hdr10-av1.mp4":
        assert reuse.counts.reused > reused


def test_a_first_frame_does_not_wait_for_onnx() -> None:
    script = """
import sys, vapoursynth as vs, vs_srcomp
clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=96, height=64, length=1)
vs_srcomp.upscale(clip, width=192, height=128, q=30).get_frame(0)
print("onnx" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_reuse_nothing_is_remembered() -> None:
    clip = vs.core.std.BlankClip(width=64, height=64, format=vs.YUV420P8, length=5)
    pixels = reuse.counts.pixels
    backend: BackendConfig = OpenVINO(precision="f32")
    frames_of(vs_srcomp.upscale(clip, model="light", backend=backend, reuse=False))
    assert reuse.counts.pixels == pixels
    frames_of(vs_srcomp.upscale(clip, model="light", backend=backend))
    assert reuse.counts.pixels - pixels == 5 * 128 * 128
