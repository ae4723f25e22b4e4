import subprocess
import sys
import threading

import numpy as np
import openvino
import pytest
import vapoursynth as vs
from onnx import helper

from tests.helpers.networks import as_network, make_onnx, random_doubler, random_network
from tests.helpers.pictures import noise
from tests.helpers.processes import HIDDEN
from tests.tolerances import ONE_CODE
from vs_srcomp.backends import OnnxRuntime
from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.models import Network

CPU = OnnxRuntime(provider="CPUExecutionProvider", threads=1)


def restore(network: Network, plane: PlaneFormat, codes: Luma) -> Luma:
    target = np.zeros((plane.height * network.scale, plane.width * network.scale), plane.dtype)
    CPU.compile(network, plane).worker().restore(codes, target)
    return target


def evaluated(network: Network, codes: Luma, bits: int) -> Luma:
    """By OpenVINO in float32, with padding and rounding in NumPy."""
    height, width = codes.shape
    white = 255.0 * 2 ** (bits - 8)
    padded = np.pad(codes, ((0, -height % network.stride), (0, -width % network.stride)), mode="edge")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(network.onnx, b""), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    restored = compiled((padded / white).astype(np.float32)[None, None])[0][0, 0]
    values = restored[: height * network.scale, : width * network.scale].astype(np.float64) * white
    result: Luma = np.clip(np.rint(values), 0, 2**bits - 1).astype(codes.dtype)
    return result


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize(("width", "height"), [(96, 64), (95, 63), (2, 2), (1, 1), (3, 40)])
def test_codes_are_within_one_of_an_independent_evaluation(width: int, height: int, bits: int) -> None:
    plane = PlaneFormat(width, height, bits)
    for network in (
        as_network(random_network()),
        as_network(random_network(3), stride=3),
        as_network(random_doubler(), stride=1, scale=2),
    ):
        got = restore(network, plane, noise(plane)).astype(np.int64)
        assert np.abs(got - evaluated(network, noise(plane), bits)).max() <= ONE_CODE


@pytest.mark.parametrize("opset", [9, 13, 18, 21])
def test_files_of_any_version_of_the_standard_run(opset: int) -> None:
    import onnx

    model = onnx.load_model_from_string(random_network())
    model = onnx.version_converter.convert_version(model, opset) if opset != 9 else model
    if opset == 9:
        del model.opset_import[:]
        model.opset_import.append(helper.make_opsetid("", 9))
        # DepthToSpace has no mode before version 11, and then does what DCR does since.
        (node,) = (node for node in model.graph.node if node.op_type == "DepthToSpace")
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("blocksize", 2))
    network = as_network(model.SerializeToString())
    plane = PlaneFormat(31, 17, 8)
    got = restore(network, plane, noise(plane)).astype(np.int64)
    assert np.abs(got - evaluated(network, noise(plane), 8)).max() <= ONE_CODE


@pytest.mark.parametrize("bits", [8, 16])
def test_the_skip_path_is_exact(bits: int) -> None:
    zero = {"w": np.zeros((1, 1, 3, 3), np.float32)}
    nodes = [helper.make_node("Conv", ["x", "w"], ["r"], pads=[1] * 4), helper.make_node("Add", ["r", "x"], ["y"])]
    plane = PlaneFormat(64, 48, bits)
    assert np.array_equal(restore(as_network(make_onnx(nodes, zero)), plane, noise(plane)), noise(plane))


def test_halves_are_rounded_to_even() -> None:
    half = {"b": np.full((1, 1, 1, 1), 0.5 / 255, np.float32)}
    plane = PlaneFormat(2, 2, 8)
    # Added to a copy of the picture, so that the halves are exact: 255 * (0.5 / 255) is.
    nodes = [
        helper.make_node("Sub", ["x", "x"], ["n"]),
        helper.make_node("Add", ["n", "b"], ["r"]),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    codes = np.array([[0, 1], [2, 3]], np.uint8)
    assert restore(as_network(make_onnx(nodes, half)), plane, codes).tolist() == [[0, 2], [2, 4]]


def test_planes_with_padded_rows_are_read_and_written_in_place() -> None:
    plane = PlaneFormat(30, 20, 8)
    source, target = np.zeros((20, 64), np.uint8), np.full((20, 64), 7, np.uint8)
    source[:, :30] = noise(plane)
    network = as_network(random_network())
    CPU.compile(network, plane).worker().restore(source[:, :30], target[:, :30])
    assert np.array_equal(target[:, :30], restore(network, plane, noise(plane)))
    assert (target[:, 30:] == 7).all()


def test_workers_that_run_at_the_same_time_do_not_share_buffers() -> None:
    plane = PlaneFormat(64, 64, 8)
    network = as_network(random_network())
    engine = OnnxRuntime(provider="CPUExecutionProvider", threads=1, streams=2).compile(network, plane)
    expected = [restore(network, plane, noise(plane, seed)) for seed in range(3)]
    wrong: list[int] = []

    def run(seed: int) -> None:
        worker, target = engine.worker(), np.zeros((64, 64), np.uint8)
        for _ in range(30):
            worker.restore(noise(plane, seed), target)
            if not np.array_equal(target, expected[seed]):
                wrong.append(seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (b"not a network", "not a network that ONNX Runtime can read"),
        (make_onnx([helper.make_node("Nonsense", ["x"], ["y"])], {}), "cannot run the network with CPU.*Nonsense"),
    ],
)
def test_what_cannot_be_run_is_refused(network: bytes, message: str) -> None:
    with pytest.raises(vs.Error, match=rf"^srcomp: .*{message}"):
        CPU.compile(as_network(network), PlaneFormat(32, 32, 8))


def test_a_provider_that_the_build_has_not_is_refused_with_those_that_it_has() -> None:
    backend = OnnxRuntime(provider="NonsenseExecutionProvider")
    with pytest.raises(vs.Error, match=r"no 'NonsenseExecutionProvider'\nuse one of .*CPUExecutionProvider"):
        backend.compile(as_network(random_network()), PlaneFormat(32, 32, 8))
    assert "no 'NonsenseExecutionProvider', only" in str(backend.why_not())
    assert OnnxRuntime().why_not() is None


@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider'")
def test_a_provider_that_does_not_start_is_passed_over(monkeypatch: pytest.MonkeyPatch, messages: list[str]) -> None:
    plane = PlaneFormat(32, 24, 8)
    network = as_network(random_network())
    expected = restore(network, plane, noise(plane))
    candidates = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(OnnxRuntime, "_candidates", lambda _: iter(candidates))  # as if this build had both
    target = np.zeros_like(expected)
    OnnxRuntime(threads=1).compile(network, plane).worker().restore(noise(plane), target)
    assert np.array_equal(target, expected)
    assert [line.partition(":")[0] for line in messages] == ["ONNX Runtime cannot use CUDAExecutionProvider"]


@pytest.mark.parametrize("field", ["device", "threads", "streams", "tile"])
def test_negative_numbers_are_refused(field: str) -> None:
    with pytest.raises(vs.Error, match="cannot be negative"):
        OnnxRuntime(**{field: -1})  # type: ignore[arg-type]


def test_without_the_library_the_error_ends_in_the_command_that_installs_it() -> None:
    script = HIDDEN.format(hidden={"onnxruntime"}) + "\n".join(
        (
            "import vs_srcomp, vapoursynth as vs",
            "clip = vs.core.std.BlankClip(width=64, height=64, format=vs.GRAY8, length=1)",
            "print(vs_srcomp.Backend.OnnxRuntime().why_not())",
            "vs_srcomp.upscale(clip, q=40, backend=vs_srcomp.Backend.OnnxRuntime())",
        )
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "ONNX Runtime cannot be loaded: No module named 'onnxruntime'\n"
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == 'pip install "vs-srcomp[onnxruntime]"'


def test_nothing_is_written_to_standard_output_nor_on_standard_error() -> None:
    script = """
import numpy as np
from tests.helpers.networks import as_network, random_network
from vs_srcomp.backends import OnnxRuntime
from vs_srcomp.backends.base import PlaneFormat

engine = OnnxRuntime().compile(as_network(random_network()), PlaneFormat(31, 17, 10))
codes = np.zeros((17, 31), np.uint16)
engine.worker().restore(codes, codes.copy())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
