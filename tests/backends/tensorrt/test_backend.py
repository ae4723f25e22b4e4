"""TensorRT without a card: the whole way of a frame, through stand-ins for what needs one."""

import gc
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from tests.backends.tensorrt.cuda_double import PLAN, Runtime
from tests.backends.tensorrt.cuda_double import TensorRT as Double
from tests.helpers.networks import as_network, random_network, reference
from tests.helpers.pictures import noise
from tests.tolerances import ONE_CODE, TWO_CODES
from vs_srcomp.backends.base import Luma, PlaneFormat, StoringBackend
from vs_srcomp.backends.tensorrt import TensorRT, backend, cuda_queue, log
from vs_srcomp.backends.tiling import is_out_of_memory

# Share of the codes that float32 rounds to another neighbour than float64: what was cut off would be half of them.
MAY_DIFFER = {8: 0.01, 10: 0.01, 16: 0.1}

type MakeCard = Callable[..., Runtime]


@pytest.fixture
def make_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeCard]:
    """Puts stand-ins where CUDA and TensorRT are expected; everything that was made on them must be given back."""
    made = []

    def make(fails: str = "", **values: Any) -> Runtime:
        runtime = Runtime(**values)
        double = Double(runtime, fails)
        monkeypatch.setenv("SRCOMP_CACHE_DIR", str(tmp_path))
        monkeypatch.setattr(cuda_queue, "_runtime", lambda: runtime)
        monkeypatch.setattr(cuda_queue, "_address", lambda handle: handle)
        monkeypatch.setattr(backend, "missing_package", lambda *_: None)
        monkeypatch.setattr(backend, "import_module", lambda _: double)
        made.append(runtime)
        return runtime

    yield make
    log.log_of.cache_clear()
    gc.collect()
    assert [runtime.held for runtime in made] == [{}], "not all was given back"


@pytest.fixture
def cuda(make_card: MakeCard) -> Runtime:
    """A fake card."""
    return make_card()


def largest_difference(a: Luma, b: Luma) -> int:
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())


def test_it_stores_what_it_builds() -> None:
    assert isinstance(TensorRT(), StoringBackend)


@pytest.mark.parametrize("bits", [8, 10, 16])
@pytest.mark.parametrize(("width", "height"), [(96, 64), (95, 63), (1, 1)])
def test_f32_is_within_one_code_of_an_independent_evaluation(cuda: Runtime, width: int, height: int, bits: int) -> None:
    plane = PlaneFormat(width, height, bits)
    codes, target = noise(plane), np.zeros((height, width), plane.dtype)
    worker = TensorRT(precision="f32").compile(as_network(random_network()), plane).worker()
    for seed in (1, 0):
        worker.restore(noise(plane, seed), target)
    expected = reference(random_network(), codes, bits)
    assert largest_difference(target, expected) <= ONE_CODE
    assert np.mean(target != expected) <= MAY_DIFFER[bits]
    assert cuda.launches == 2
    assert cuda.waits == 3  # One a frame, and one before the recording.


def test_half_precision_is_another_plan_and_within_two_codes(cuda: Runtime) -> None:
    plane = PlaneFormat(96, 64, 10)
    network = as_network(random_network())
    plans = [TensorRT(precision=precision).build(network, plane) for precision in ("fp16", "f32")]
    assert plans[0] != plans[1]
    target = np.zeros((64, 96), np.uint16)
    TensorRT().load(plans[0], plane).worker().restore(noise(plane), target)
    assert largest_difference(target, reference(random_network(), noise(plane), 10)) <= TWO_CODES


def test_frames_are_made_without_a_recording_where_there_can_be_none(make_card: MakeCard) -> None:
    cuda = make_card(records=False)
    plane = PlaneFormat(32, 24, 8)
    target = np.zeros((24, 32), np.uint8)
    TensorRT(precision="f32").compile(as_network(random_network()), plane).worker().restore(noise(plane), target)
    assert largest_difference(target, reference(random_network(), noise(plane), 8)) <= ONE_CODE
    assert cuda.launches == 0


def test_cards_take_workers_in_turn_and_the_thread_keeps_its_own(make_card: MakeCard) -> None:
    cuda = make_card(cards=3)
    cuda.device = 2
    backend = TensorRT(device=[0, 1])
    assert backend.workers == 6
    engine = backend.compile(as_network(random_network()), PlaneFormat(8, 8, 8))
    workers = [engine.worker() for _ in range(4)]
    queues = [worker._queue for worker in workers]
    assert [cuda.card_of[queue._stream] for queue in queues if isinstance(queue, cuda_queue.CudaQueue)] == [0, 1, 0, 1]
    for worker in workers:
        worker.restore(np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8))
    assert cuda.device == 2


@pytest.mark.parametrize("fails", ["build", "context"])
def test_lack_of_memory_is_reported_as_such(fails: str, make_card: MakeCard) -> None:
    make_card(fails)
    with pytest.raises(vs.Error) as raised:
        TensorRT().compile(as_network(random_network()), PlaneFormat(8, 8, 8)).worker()
    assert is_out_of_memory(raised.value)


def test_planes_that_do_not_fit_on_the_card_are_lack_of_memory(make_card: MakeCard) -> None:
    make_card(memory=10_000)
    engine = TensorRT().compile(as_network(random_network()), PlaneFormat(64, 64, 8))
    with pytest.raises(MemoryError, match="out of memory"):
        engine.worker()


def test_network_that_the_parser_refuses_is_reported_in_its_words(make_card: MakeCard) -> None:
    make_card("parse")
    with pytest.raises(vs.Error, match=r"^srcomp: TensorRT cannot read the network: no importer for Einsum\n"):
        TensorRT().compile(as_network(random_network()), PlaneFormat(8, 8, 8))


@pytest.mark.parametrize("damaged", [b"", b"plan", b"garbage" * 100])
def test_damaged_plan_is_refused(cuda: Runtime, damaged: bytes) -> None:
    with pytest.raises(RuntimeError, match="refuses the plan: magic tag does not match"):
        TensorRT().load(damaged, PlaneFormat(8, 8, 8))


def test_plan_for_smaller_planes_is_refused(cuda: Runtime) -> None:
    built = TensorRT().build(as_network(random_network()), PlaneFormat(8, 8, 8))
    assert built.startswith(PLAN)
    with pytest.raises(RuntimeError, match="for planes of 8x8"):
        TensorRT().load(built, PlaneFormat(32, 8, 8))


def test_plan_depends_on_version_card_driver_and_choices(cuda: Runtime) -> None:
    identity = TensorRT().identity()
    assert identity == {
        "tensorrt": "11.4.0",
        "device": "Double",
        "compute_capability": "9.0",
        "driver": "13.2",
        "precision": "fp16",
    }
    assert TensorRT(precision="f32").identity() != identity
    assert TensorRT(cuda_graph=False, streams=2).identity() == identity


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"precision": "int8"}, "precision 'int8' is unknown"),
        ({"device": -1}, "is not a card"),
        ({"device": None}, "is not a card"),
        ({"cuda_graph": "no"}, "cuda_graph='no' is neither True nor False"),
        ({"device": []}, "is not a card"),
        ({"streams": -1}, "cannot be negative"),
    ],
)
def test_values_that_mean_nothing_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(vs.Error, match=f"^srcomp: .*{message}"):
        TensorRT(**values)


def test_equal_backends_are_one_key() -> None:
    assert len({TensorRT(device=[0, 1]), TensorRT(device=(0, 1))}) == 1


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_without_tensorrt_the_error_ends_with_what_to_type() -> None:
    assert TensorRT().why_not() == "tensorrt is not installed"
    for use in (TensorRT().identity, lambda: TensorRT().load(b"", PlaneFormat(8, 8, 8))):
        with pytest.raises(vs.Error) as raised:
            use()
        assert str(raised.value).splitlines()[-1] == 'pip install "vs-srcomp[tensorrt]"'


def test_log_never_lets_an_exception_into_the_library() -> None:
    heard = log.Log(Double(Runtime()))
    heard._environment = None
    heard.logger.log(Double.ILogger.Severity.ERROR, "one\nline")
    heard.logger.log(Double.ILogger.Severity.INFO, "chatter")
    assert heard.errors == "one line"
