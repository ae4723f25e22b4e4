import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
import vapoursynth as vs
from onnx import helper

from tests.helpers.networks import as_network, make_onnx, random_network, reference
from tests.helpers.pictures import noise
from tests.tolerances import HALF_PRECISION, ONE_CODE
from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.backends.torch import Torch
from vs_srcomp.geometry import ratio_by_name
from vs_srcomp.models import Network, find_model, load_network, network_at

HAS_CUDA = torch.cuda.is_available()
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not HAS_CUDA, reason="there is no graphics card"))]
needs_cuda = pytest.mark.skipif(not HAS_CUDA, reason="there is no graphics card")

DOUBLER = make_onnx(
    [
        helper.make_node("Conv", ["x", "w"], ["f"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["f"], ["y"], blocksize=2, mode="CRD"),
    ],
    {"w": np.random.default_rng(0).normal(0.11, 0.02, (4, 1, 3, 3)).astype(np.float32)},
)


def restore(backend: Torch, network: Network, plane: PlaneFormat, codes: Luma) -> Luma:
    target = np.zeros([side * network.scale for side in codes.shape], codes.dtype)
    backend.compile(network, plane).worker().restore(codes, target)
    return target


def largest_difference(a: Luma, b: Luma) -> int:
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize(("width", "height"), [(96, 64), (95, 63), (2, 2), (1, 1), (3, 40)])
def test_f32_is_within_one_code_of_an_independent_evaluation(device: str, width: int, height: int, bits: int) -> None:
    plane = PlaneFormat(width, height, bits)
    codes = noise(plane)
    expected = reference(random_network(), codes, bits)
    assert not np.array_equal(expected, codes)
    got = restore(Torch(device=device, precision="f32"), as_network(random_network()), plane, codes)
    assert largest_difference(got, expected) <= ONE_CODE
    # Most are the same: what was cut off instead of rounded would be one less in half of the cases.
    assert np.mean(got != expected) <= (0.1 if bits == 16 else 0.01)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["auto", "fp16", "bf16"])
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("ratio", ["2:1", "8:5"])
def test_reduced_precision_is_within_a_code_of_8_bits_for_our_networks(
    device: str, precision: Any, bits: int, ratio: str
) -> None:
    plane = PlaneFormat(96, 64, bits)
    network = network_at(load_network(find_model("fast", ratio_by_name(ratio))), 30)
    # Not noise: what the network adds to that is larger than to any picture.
    ramp = np.add.outer(np.arange(64) * 2, np.arange(96)) / 222 + np.random.default_rng(0).normal(0, 0.02, (64, 96))
    codes: Luma = np.clip(np.rint(ramp * plane.peak), 0, plane.peak).astype(plane.dtype)
    expected = reference(network.onnx, codes, bits, network.stride)
    assert largest_difference(expected, codes) > 2
    got = restore(Torch(device=device, precision=precision), network, plane, codes)
    assert largest_difference(got, expected) <= max(ONE_CODE, HALF_PRECISION["atol"] * plane.peak)


@pytest.mark.parametrize("precision", ["f32", "fp16", "bf16"])
@pytest.mark.parametrize("bits", [8, 10, 16])
def test_skip_path_is_exact_whatever_the_precision(precision: Any, bits: int) -> None:
    nothing = {"w": np.zeros((1, 1, 3, 3), np.float32)}
    nodes = [helper.make_node("Conv", ["x", "w"], ["r"], pads=[1] * 4), helper.make_node("Add", ["x", "r"], ["y"])]
    plane = PlaneFormat(300, 300, bits)
    codes: Luma = (np.arange(90000) % (plane.peak + 1)).reshape(300, 300).astype(plane.dtype)
    got = restore(Torch(device="cpu", precision=precision), as_network(make_onnx(nodes, nothing)), plane, codes)
    assert np.array_equal(got, codes)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bits", [8, 10, 16])
def test_network_that_doubles_gives_a_plane_of_twice_the_size(device: str, bits: int) -> None:
    plane = PlaneFormat(31, 17, bits)
    codes = noise(plane)
    got = restore(Torch(device=device, precision="f32"), as_network(DOUBLER, stride=1, scale=2), plane, codes)
    luma = torch.from_numpy((codes / plane.code_scale).astype(np.float32))[None, None]
    weight = np.random.default_rng(0).normal(0.11, 0.02, (4, 1, 3, 3)).astype(np.float32)
    four = torch.nn.functional.conv2d(luma, torch.from_numpy(weight), padding=1)[0].numpy().astype(np.float64)
    expected = np.zeros((34, 62))
    for index in range(4):
        expected[index // 2 :: 2, index % 2 :: 2] = four[index]
    expected = np.clip(np.rint(expected * plane.code_scale), 0, plane.peak)
    assert got.shape == (34, 62)
    assert largest_difference(got, expected.astype(plane.dtype)) <= ONE_CODE


def test_bfloat16_is_not_chosen_for_a_whole_picture() -> None:
    plane = PlaneFormat(64, 48, 10)
    whole = as_network(DOUBLER, stride=1, scale=2)
    codes = noise(plane)
    assert np.array_equal(
        restore(Torch(device="cpu"), whole, plane, codes),
        restore(Torch(device="cpu", precision="f32"), whole, plane, codes),
    )


@pytest.mark.parametrize("stride", [3, 4])
def test_any_stride_keeps_the_size(stride: int) -> None:
    plane = PlaneFormat(31, 17, 8)
    codes = noise(plane)
    network = as_network(random_network(stride), stride=stride)
    got = restore(Torch(device="cpu", precision="f32"), network, plane, codes)
    assert largest_difference(got, reference(network.onnx, codes, 8, stride)) <= ONE_CODE


@pytest.mark.parametrize("bits", [8, 10])
def test_planes_with_padded_rows_are_read_and_written_in_place(bits: int) -> None:
    plane = PlaneFormat(30, 20, bits)
    codes = noise(plane)
    source, target = np.zeros((20, 64), plane.dtype), np.full((20, 64), 7, plane.dtype)
    source[:, :30] = codes
    backend, network = Torch(device="cpu", precision="f32"), as_network(random_network())
    backend.compile(network, plane).worker().restore(source[:, :30], target[:, :30])
    assert np.array_equal(target[:, :30], restore(backend, network, plane, codes))
    assert (target[:, 30:] == 7).all()


@pytest.mark.parametrize("device", DEVICES)
def test_workers_of_one_engine_may_run_at_the_same_time_in_any_thread(device: str) -> None:
    plane = PlaneFormat(64, 48, 10)
    engine = Torch(device=device, precision="f32").compile(as_network(random_network()), plane)
    alone = []
    for seed in range(24):
        target = np.zeros((48, 64), np.uint16)
        engine.worker().restore(noise(plane, seed), target)
        alone.append(target)
    workers = [(engine.worker(), threading.Lock()) for _ in range(3)]

    def run(seed: int) -> Luma:
        worker, lock = workers[seed % 3]
        target = np.zeros((48, 64), np.uint16)
        with lock:
            worker.restore(noise(plane, seed), target)
        return target

    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(run, range(24)))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_no_setting_of_the_process_is_changed() -> None:
    def settings() -> tuple[object, ...]:
        return (
            torch.get_num_threads(),
            torch.get_num_interop_threads(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.allow_tf32,
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
        )

    before = settings()
    plane = PlaneFormat(16, 16, 8)
    restore(Torch(), as_network(random_network()), plane, noise(plane))
    assert settings() == before


def test_equal_backends_are_one_key_however_devices_are_written() -> None:
    assert len({Torch(device="cuda"), Torch(device=0), Torch(device="cuda:0")}) == 1
    assert len({Torch(device=[0, 1]), Torch(device=("cuda", "cuda:1"))}) == 1
    assert Torch(device=[0, 1]) != Torch(device=[1, 0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"precision": "fp4"}, "precision 'fp4' is unknown"),
        ({"device": "gpu"}, "device 'gpu' is unknown"),
        ({"device": None}, "device None is unknown"),
        ({"device": 1.5}, "device 1.5 is unknown"),
        ({"cuda_graph": "no"}, "cuda_graph='no' is neither True nor False"),
        ({"device": []}, "is not a list of graphics cards"),
        ({"device": ["cpu", "cpu"]}, "is not a list of graphics cards"),
        ({"streams": -1}, "cannot be negative"),
        ({"tile": -1}, "cannot be negative"),
    ],
)
def test_values_that_mean_nothing_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(vs.Error, match=f"^srcomp: .*{message}"):
        Torch(**values)


def test_what_is_not_there_is_reported_before_it_is_used() -> None:
    assert Torch(device="cpu").why_not() is None
    assert Torch().why_not() is None
    missing = Torch(device=64)
    reason = missing.why_not()
    assert reason
    with pytest.raises(vs.Error) as raised:
        missing.compile(as_network(random_network()), PlaneFormat(8, 8, 8))
    assert str(raised.value).startswith(f"srcomp: {reason}\n")


def test_without_torch_the_error_ends_with_what_to_type() -> None:
    code = """
import sys
sys.modules["torch"] = None
import vapoursynth as vs
from vs_srcomp.backends.torch import Torch
print(Torch().why_not())
try:
    Torch().workers
except Exception as reason:
    print(isinstance(reason, vs.Error), reason, sep="|")
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [
        "torch is not installed",
        "True|srcomp: torch is not installed",
        'pip install "vs-srcomp[torch]"',
    ]


def test_torch_is_loaded_only_when_it_is_used() -> None:
    code = "import sys, vs_srcomp.backends.torch as t; t.Torch(device=[0, 1]); print('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False"


@needs_cuda
@pytest.mark.parametrize("bits", [8, 10])
def test_recorded_runs_give_what_others_give(bits: int) -> None:
    plane = PlaneFormat(190, 130, bits)
    network = as_network(random_network())
    recorded = Torch(device="cuda", precision="fp16").compile(network, plane).worker()
    plain = Torch(device="cuda", precision="fp16", cuda_graph=False).compile(network, plane).worker()
    for seed in range(3):
        results = []
        for worker in (recorded, plain):
            target = np.zeros((130, 190), plane.dtype)
            worker.restore(noise(plane, seed), target)
            results.append(target)
        assert largest_difference(*results) <= ONE_CODE
