import numpy as np
import openvino
import pytest
import vapoursynth as vs
from onnx import helper

from tests.networks import as_network, make_onnx, random_network, reference
from vs_srcomp.backends import OpenVINO
from vs_srcomp.backends.base import Luma, PlaneFormat

HAS_BF16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def noise(plane: PlaneFormat, seed: int = 0) -> Luma:
    """Random codes over the whole range, so that clamping happens at both ends."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, plane.peak + 1, (plane.height, plane.width)).astype(plane.dtype)


def restore(backend: OpenVINO, network: bytes, plane: PlaneFormat, codes: Luma) -> Luma:
    target = np.zeros_like(codes)
    backend.compile(as_network(network), plane).worker().restore(codes, target)
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
    assert largest_difference(restore(OpenVINO(precision="f32"), network, plane, codes), expected) <= 1


@pytest.mark.skipif(not HAS_BF16, reason="this processor has no bfloat16 units")
@pytest.mark.parametrize("bits", [8, 10])
def test_bf16_is_within_two_codes_and_leaves_the_skip_path_exact(bits: int) -> None:
    plane = PlaneFormat(96, 64, bits)
    codes = noise(plane)
    network = random_network()
    got = restore(OpenVINO(precision="bf16"), network, plane, codes)
    assert largest_difference(got, reference(network, codes, bits)) <= 2


def test_network_without_a_global_skip_runs_too() -> None:
    weights = {"w": np.full((1, 1, 3, 3), 1 / 9, np.float32)}
    network = make_onnx([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)], weights)
    plane = PlaneFormat(32, 24, 8)
    codes = noise(plane)
    got = restore(OpenVINO(precision="f32"), network, plane, codes)
    assert largest_difference(got, reference(network, codes, 8, stride=1)) <= 1


@pytest.mark.parametrize("stride", [3, 4])
def test_any_stride_keeps_the_size(stride: int) -> None:
    plane = PlaneFormat(31, 17, 8)
    codes = noise(plane)
    network = random_network(stride)
    got = restore(OpenVINO(precision="f32"), network, plane, codes)
    assert largest_difference(got, reference(network, codes, 8, stride)) <= 1


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
        (b"not a network", "not a network"),
        (make_onnx([helper.make_node("Identity", ["x"], ["y"])], {}, ("N", 3, "H", "W")), "luma"),
        (make_onnx([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])], {}), "size"),
    ],
)
def test_what_does_not_follow_the_contract_is_refused(network: bytes, message: str) -> None:
    with pytest.raises(vs.Error, match=rf"^srcomp: .*{message}"):
        OpenVINO().compile(as_network(network), PlaneFormat(32, 32, 8))


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(vs.Error, match="precision 'fp4'"):
        OpenVINO(precision="fp4")  # type: ignore[arg-type]
