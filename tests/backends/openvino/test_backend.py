import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import pytest
import vapoursynth as vs
from onnx import helper

from tests.helpers.networks import (
    as_network,
    make_onnx,
    one_of_each,
    random_doubler,
    random_network,
    random_stack,
    reference,
)
from tests.helpers.pictures import noise, picture
from tests.tolerances import ONE_CODE
from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.backends.openvino import BFLOAT16_CODES, OpenVINO
from vs_srcomp.models import Model, load_network, network_at
from vs_srcomp.processor import core_count, has_avx2

UNITS = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
HAS_BF16, HAS_FP16 = "BF16" in UNITS, "FP16" in UNITS
_THREADING = ("INFERENCE_NUM_THREADS", "NUM_STREAMS", "ENABLE_CPU_PINNING")


def restore(backend: OpenVINO, network: bytes, plane: PlaneFormat, codes: Luma, stride: int = 2) -> Luma:
    target = np.zeros_like(codes)
    backend.compile(as_network(network, stride=stride), plane).worker().restore(codes, target)
    return target


def largest_difference(a: Luma, b: Luma) -> int:
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize(("width", "height"), [(96, 64), (95, 63), (2, 2), (1, 1), (3, 40)])
def test_f32_is_within_one_code_of_an_independent_evaluation(width: int, height: int, bits: int) -> None:
    plane = PlaneFormat(width, height, bits)
    codes = noise(plane)
    network = random_network()
    expected = reference(network, codes, bits)
    assert not np.array_equal(expected, codes)
    assert largest_difference(restore(OpenVINO(precision="f32"), network, plane, codes), expected) <= ONE_CODE


@pytest.mark.skipif(not HAS_BF16, reason="this processor has no bfloat16 units")
@pytest.mark.parametrize("model", one_of_each(), ids=lambda model: model.name)
def test_bf16_is_within_its_bounds_on_pictures(model: Model) -> None:
    for bits, most in BFLOAT16_CODES.items():
        plane = PlaneFormat(191, 127, bits)
        codes = picture(plane)
        network = network_at(load_network(model), 30)
        target = np.zeros_like(codes)
        OpenVINO(precision="bf16").compile(network, plane).worker().restore(codes, target)
        expected = reference(network.onnx, codes, bits, network.stride)
        assert not np.array_equal(expected, codes)
        assert largest_difference(target, expected) <= most


@pytest.mark.skipif(not HAS_BF16, reason="this processor has no bfloat16 units")
def test_bf16_computes_in_bfloat16_and_rounds_its_weights_to_the_nearest() -> None:
    # 1 + 3/512 lies between two numbers in bfloat16, nearer to the upper one; the picture is 0.5.
    weight, upper = 1 + 3 / 512, 1 + 1 / 128
    nodes = [helper.make_node("Conv", ["x", "w0"], ["h"]), helper.make_node("Conv", ["h", "w1"], ["y"])]
    weights = {"w0": np.ones((1, 1, 1, 1), np.float32), "w1": np.full((1, 1, 1, 1), weight, np.float32)}
    plane = PlaneFormat(2, 2, 16)
    codes = np.full((2, 2), 255 * 128, np.uint16)
    network, target = as_network(make_onnx(nodes, weights), stride=1), np.zeros_like(codes)
    results = {}
    for precision in ("f32", "bf16"):
        backend = OpenVINO(precision=precision)
        backend.compile(network, plane).worker().restore(codes, target)
        results[precision] = int(target[0, 0])
    assert abs(results["f32"] - codes[0, 0] * weight) <= 1
    assert abs(results["bf16"] - codes[0, 0] * upper) <= 1


@pytest.mark.skipif(not HAS_BF16, reason="this processor has no bfloat16 units")
@pytest.mark.parametrize("bits", [8, 10, 16])
def test_bf16_sees_differences_that_neither_codes_nor_weights_have_in_bfloat16(bits: int) -> None:
    # A bright picture whose columns differ by one code, and a weight that is 3/512 above its neighbour's.
    plane = PlaneFormat(16, 4, bits)
    code, step = plane.peak - 1, 1 / plane.code_scale
    codes = np.full((4, 16), code, plane.dtype)
    codes[:, 1::2] += 1
    first = np.array([[[[1 + 3 / 512, -1]]]], np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], pads=[0, 0, 0, 1]),
        helper.make_node("Conv", ["h", "v"], ["y"]),
    ]
    network = make_onnx(nodes, {"w": first, "v": np.full((1, 1, 1, 1), 64, np.float32)})
    target = np.zeros_like(codes)
    OpenVINO(precision="bf16").compile(as_network(network, stride=1), plane).worker().restore(codes, target)
    expected = 64 * (codes[:, :-1] * (1 + 3 / 512) - codes[:, 1:]) * step
    assert np.abs(target[:, :-1] * step - expected.clip(0, plane.peak * step)).max() <= expected.max() / 200


@pytest.mark.skipif(not HAS_BF16, reason="this processor has no bfloat16 units")
def test_bf16_computes_a_layer_that_ends_in_the_output_in_float32() -> None:
    plane = PlaneFormat(20, 10, 16)
    codes = noise(plane)
    network = make_onnx(
        [helper.make_node("Conv", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
        {"w": np.full((1, 1, 1, 1), 0.99, np.float32)},
    )
    expected = (codes * 0.99).round().astype(np.uint16)
    assert largest_difference(restore(OpenVINO(precision="bf16"), network, plane, codes, 1), expected) <= ONE_CODE


@pytest.mark.parametrize("bits", [8, 16])
def test_by_default_a_whole_picture_is_not_computed_in_bfloat16(bits: int) -> None:
    # Layers whose result replaces the picture: the eight bits of bfloat16 would show as steps.
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[..., 1, 1] = 0.99
    nodes = [helper.make_node("Conv", [name, "w"], [after], pads=[1] * 4) for name, after in ("xf", "fg", "gy")]
    plane = PlaneFormat(64, 16, bits)
    slope = np.linspace(0.6 * plane.peak, 0.7 * plane.peak, 64 * 16).round().reshape(16, 64)
    codes = slope.astype(np.uint8) if bits == 8 else slope.astype(np.uint16)
    restored = restore(OpenVINO(), make_onnx(nodes, {"w": kernel}), plane, codes, 1)
    assert largest_difference(restored, (slope * 0.99**3).round().astype(codes.dtype)) <= ONE_CODE


@pytest.mark.skipif(not HAS_BF16, reason="this processor has no bfloat16 units")
@pytest.mark.parametrize("scale", [1, 2])
def test_bf16_leaves_the_picture_itself_exact(scale: int) -> None:
    # Networks that add nothing: the second one doubles by repeating pixels, which is no addition of its own input.
    zeros = {"w": np.zeros((1, 1, 3, 3), np.float32), "v": np.zeros((scale**2, 1, 3, 3), np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["f"], pads=[1] * 4),
        helper.make_node("Conv", ["f", "v"], ["r"], pads=[1] * 4),
        helper.make_node("Concat", ["x"] * scale**2, ["n"], axis=1),
        helper.make_node("Add", ["n", "r"], ["s"]),
        helper.make_node("DepthToSpace", ["s"], ["y"], blocksize=scale),
    ]
    plane = PlaneFormat(20, 10, 16)
    codes = noise(plane)
    target = np.zeros((10 * scale, 20 * scale), np.uint16)
    network = as_network(make_onnx(nodes, zeros), stride=1, scale=scale)
    OpenVINO(precision="bf16").compile(network, plane).worker().restore(codes, target)
    assert np.array_equal(target, codes.repeat(scale, 0).repeat(scale, 1))


@pytest.mark.parametrize("size", [(30, 20), (31, 17), (1, 1)])
def test_a_doubler_gives_twice_the_size(size: tuple[int, int]) -> None:
    plane = PlaneFormat(*size, 8)
    codes = noise(plane)
    network = as_network(random_doubler(), stride=1, scale=2)
    target = np.zeros((2 * plane.height, 2 * plane.width), np.uint8)
    OpenVINO(precision="f32").compile(network, plane).worker().restore(codes, target)
    assert largest_difference(target, reference(network.onnx, codes, 8, 1, 2)) <= ONE_CODE


def test_network_without_a_global_skip_runs_too() -> None:
    weights = {"w": np.full((1, 1, 3, 3), 1 / 9, np.float32)}
    network = make_onnx([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)], weights)
    plane = PlaneFormat(32, 24, 8)
    codes = noise(plane)
    got = restore(OpenVINO(precision="f32"), network, plane, codes, stride=1)
    assert largest_difference(got, reference(network, codes, 8, stride=1)) <= ONE_CODE


@pytest.mark.parametrize("stride", [3, 4])
def test_any_stride_keeps_the_size(stride: int) -> None:
    plane = PlaneFormat(31, 17, 8)
    codes = noise(plane)
    network = random_network(stride)
    got = restore(OpenVINO(precision="f32"), network, plane, codes, stride)
    assert largest_difference(got, reference(network, codes, 8, stride)) <= ONE_CODE


def test_planes_with_padded_rows_are_read_and_written_in_place() -> None:
    plane = PlaneFormat(30, 20, 8)
    codes = noise(plane)
    source, target = np.zeros((20, 64), np.uint8), np.full((20, 64), 7, np.uint8)
    source[:, :30] = codes
    network = random_network()
    OpenVINO(precision="f32").compile(as_network(network), plane).worker().restore(source[:, :30], target[:, :30])
    assert np.array_equal(target[:, :30], restore(OpenVINO(precision="f32"), network, plane, codes))
    assert (target[:, 30:] == 7).all()


def test_workers_of_one_engine_do_not_share_buffers() -> None:
    plane = PlaneFormat(32, 32, 8)
    engine = OpenVINO(precision="f32").compile(as_network(random_network()), plane)
    first, second = engine.worker(), engine.worker()
    results = []
    for worker, seed in ((first, 1), (second, 2), (first, 1)):
        target = np.zeros((32, 32), np.uint8)
        worker.restore(noise(plane, seed), target)
        results.append(target)
    assert np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], results[1])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (b"not a network", "OpenVINO cannot read the network"),
        (make_onnx([helper.make_node("Identity", ["x"], ["y"])], {}, ("N", 3, "H", "W")), "luma"),
        (make_onnx([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])], {}), "size"),
    ],
)
def test_what_does_not_follow_the_contract_is_refused(network: bytes, message: str) -> None:
    with pytest.raises(vs.Error, match=rf"^srcomp: .*{message}"):
        OpenVINO().compile(as_network(network), PlaneFormat(32, 32, 8))


def test_an_unknown_device_is_refused_with_those_that_there_are() -> None:
    backend = OpenVINO(device="GPU.7")
    with pytest.raises(vs.Error, match=r"no device 'GPU.7' here\nuse one of CPU.*, AUTO$"):
        backend.compile(as_network(random_network()), PlaneFormat(32, 32, 8))
    assert "no device 'GPU.7', only CPU" in str(backend.why_not())
    assert OpenVINO().why_not() is None


@pytest.mark.parametrize("device", ["AUTO", "AUTO:CPU"])
def test_virtual_devices_run_too(device: str) -> None:
    plane = PlaneFormat(32, 24, 8)
    backend = OpenVINO(device=device, precision="f32")
    assert backend.why_not() is None
    got = restore(backend, random_network(), plane, noise(plane))
    assert largest_difference(got, reference(random_network(), noise(plane), 8)) <= ONE_CODE


@pytest.mark.skipif(HAS_FP16, reason="this processor has float16 units")
def test_a_precision_that_the_device_has_not_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(vs.Error, match=r'CPU does not compute in fp16\nuse precision="auto" or "f32"( or "bf16")?$'):
        OpenVINO(precision="fp16").compile(as_network(random_network()), PlaneFormat(32, 32, 8))


def test_identity_has_release_device_and_precision() -> None:
    identity = OpenVINO(precision="f32").identity()
    assert identity["openvino"] == openvino.get_version()
    assert identity["device"] == openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    assert identity["precision"] == "f32"
    assert identity == OpenVINO(precision="f32", device="CPU", threads=1).identity()
    assert not HAS_BF16 or identity != OpenVINO(precision="bf16").identity()


@pytest.mark.parametrize(
    ("threads", "streams"), [(1, 1), (2, 2), (3, 3), (4, 2), (6, 2), (8, 2), (11, 2), (12, 3), (16, 4), (32, 8)]
)
def test_several_frames_are_in_inference_at_a_time_and_another_is_copied(threads: int, streams: int) -> None:
    assert OpenVINO(threads=threads).workers == streams + 1
    assert OpenVINO(threads=threads, streams=5).workers == 6
    assert OpenVINO(device="GPU", threads=threads).workers == 2


@pytest.mark.parametrize("backend", [OpenVINO(threads=1), OpenVINO(threads=2), OpenVINO(threads=2, streams=1)])
def test_threads_and_streams_are_those_that_were_asked_for_and_no_core_is_theirs(backend: OpenVINO) -> None:
    engine = backend.compile(as_network(random_network(channels=64)), PlaneFormat(32, 32, 8))
    given = {name: engine._compiled.get_property(name) for name in _THREADING}
    threads = min(backend.threads, core_count())
    assert given == {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": min(backend.workers - 1, threads),
        "ENABLE_CPU_PINNING": False,
    }


def test_a_tiny_network_has_one_stream() -> None:
    engine = OpenVINO(threads=2).compile(as_network(random_network()), PlaneFormat(32, 32, 8))
    assert engine._compiled.get_property("NUM_STREAMS") == 1


MISSING_LIBRARY = "libtbb.so.12: cannot open shared object file"


@pytest.mark.parametrize(
    ("taken", "reason", "remedy"),
    [
        (False, MISSING_LIBRARY, "pip install openvino"),
        (
            True,
            "vapoursynth-mlrt-ov has brought an OpenVINO of its own into this process",
            'keep vapoursynth-mlrt-ov in another environment, or pip install "vs-srcomp[onnxruntime]"',
        ),
    ],
)
def test_an_openvino_that_cannot_be_loaded_is_reported(tmp_path: Path, taken: bool, reason: str, remedy: str) -> None:
    (tmp_path / "openvino.py").write_text(f"raise ImportError({MISSING_LIBRARY!r})")
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import vapoursynth as vs
from vs_srcomp.backends.openvino import OpenVINO, backend
from vs_srcomp.backends.base import PlaneFormat
if {taken}:
    backend._is_taken = lambda: True
print(OpenVINO().why_not())
try:
    OpenVINO().compile(None, PlaneFormat(8, 8, 8))
except vs.Error as reason:
    print(reason)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"it cannot be loaded: {reason}",
        f"srcomp: OpenVINO cannot be loaded: {reason}",
        remedy,
    ]


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(vs.Error, match="precision 'fp4'"):
        OpenVINO(precision="fp4")  # type: ignore[arg-type]


def test_integers_need_a_network_that_has_them() -> None:
    with pytest.raises(vs.Error, match=r'no form in 8-bit integers\nuse precision="auto"'):
        OpenVINO(precision="int8").compile(as_network(random_network()), PlaneFormat(32, 32, 8))


@pytest.mark.skipif(not has_avx2(), reason="this processor multiplies no 8-bit integers by the dozen")
def test_integers_are_the_default_for_networks_that_have_them() -> None:
    plane = PlaneFormat(64, 48, 8)
    codes = picture(plane)
    network = replace(as_network(random_stack(), stride=4), ranges=(4.0, 4.0, 4.0))
    results = {}
    for precision in ("auto", "int8", "f32"):
        results[precision] = np.zeros_like(codes)
        backend = OpenVINO(precision=precision)
        backend.compile(network, plane).worker().restore(codes, results[precision])
    assert np.array_equal(results["auto"], results["int8"])
    assert not np.array_equal(results["auto"], results["f32"])
    assert OpenVINO().identity()["precision"] == "int8"


def test_documents_state_the_bounds_of_bfloat16() -> None:
    root = Path(__file__).resolve().parents[3]
    documents = [" ".join(path.read_text("utf-8").split()) for path in (root / "README.md", *root.glob("docs/**/*.md"))]
    stated = [" ".join(str(OpenVINO.__doc__).split()), *(text for text in documents if "bfloat16" in text)]
    bounds = {
        (int(bits), int(codes)) for text in stated for codes, bits in re.findall(r"(\d+) codes? in (\d+) bits", text)
    }
    assert bounds == set(BFLOAT16_CODES.items())
