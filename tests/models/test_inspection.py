"""Users' own ONNX files: the facts about usable ones, and the errors of others."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import vapoursynth as vs
from onnx import TensorProto, helper, numpy_helper

from tests.helpers.networks import make_onnx, random_doubler, random_level_network, random_network
from vs_srcomp.models import Model, load_network, models, network_at
from vs_srcomp.models.inspection import read_network

ENGINES = Path(__file__).resolve().parents[2] / "engines"


def other(folder: Path, data: bytes) -> Path:
    path = folder / "other.onnx"
    path.write_bytes(data)
    return path


def written(folder: Path, data: bytes) -> Path:
    path = folder / "own.onnx"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_packaged_models_are_found_to_be_what_their_descriptors_say(model: Model) -> None:
    described = load_network(model)
    found = read_network(ENGINES / model.file)
    # Only the descriptor has ranges and a name.
    assert replace(found, ranges=described.ranges, name=described.name) == described
    assert (found.onnx, found.stride, found.scale) == (described.onnx, described.stride, described.scale)
    assert found.receptive_field == described.receptive_field


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 6, 7, 8, 16])
def test_the_stride_is_found(stride: int, tmp_path: Path) -> None:
    data = random_network(stride, channels=4)
    network = load_network(written(tmp_path, data))
    assert (network.onnx, network.sha256) == (data, hashlib.sha256(data).hexdigest())
    assert (network.stride, network.scale, network.takes_level) == (stride, 1, False)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_the_scale_is_found(scale: int, tmp_path: Path) -> None:
    network = load_network(written(tmp_path, random_doubler(scale=scale)))
    # 3x3 and 5x5 together see three pixels to each side.
    assert (network.stride, network.scale, network.receptive_field) == (1, scale, 7)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_network_may_take_the_level(stride: int, residual: bool, tmp_path: Path) -> None:
    data = random_level_network(stride=stride, residual=residual)
    network = load_network(written(tmp_path, data))
    assert (network.onnx, network.sha256) == (data, hashlib.sha256(data).hexdigest())
    assert (network.stride, network.scale, network.takes_level) == (stride, 1, True)
    alone = load_network(other(tmp_path, network_at(network, 30).onnx))
    assert (network.receptive_field, network.stride) == (alone.receptive_field, alone.stride)


def test_weights_may_be_stored_in_half_precision(tmp_path: Path) -> None:
    data = random_doubler(half=True)
    network = load_network(written(tmp_path, data))
    assert network.sha256 == hashlib.sha256(data).hexdigest()
    assert next(node.op_type for node in onnx.load_from_string(network.onnx).graph.node) == "Conv"
    assert (network.scale, network.receptive_field) == (2, 7)


def test_a_grid_that_sizes_do_not_show_counts_for_the_stride(tmp_path: Path) -> None:
    """Every size comes out right, but tiles and padding must keep to the pooling's grid of 2 pixels."""
    shape = numpy_helper.from_array(np.zeros(0, np.float32), "none")
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        helper.make_node("Shape", ["x"], ["size"]),
        helper.make_node("Constant", [], ["none"], value=shape),
        helper.make_node("Resize", ["p", "none", "none", "size"], ["y"], mode="nearest"),
    ]
    network = load_network(written(tmp_path, make_onnx(nodes, {})))
    assert (network.stride, network.scale) == (2, 1)


def test_the_sum_is_logged_once(tmp_path: Path) -> None:
    path = written(tmp_path, random_network(seed=77))
    program = (
        "import sys, pathlib, vapoursynth as vs\n"
        "vs.core.add_log_handler(lambda kind, message: print(message))\n"
        "from vs_srcomp.models import load_network\n"
        "from vs_srcomp.models.inspection import read_network\n"
        f"path = pathlib.Path({str(path)!r})\n"
        "load_network(path), load_network(path), read_network(path)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [line for line in done.stdout.splitlines() if line.startswith("srcomp: ")]
    assert lines == [f"srcomp: own.onnx: network, stride 2, receptive field 10, SHA-256 {sha256}"]


def test_packaged_models_do_without_the_onnx_library() -> None:
    program = (
        "import sys, vs_srcomp\n"
        "from vs_srcomp.models import load_network, models\n"
        "load_network(models()[0])\n"
        "print('onnx' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def plane(name: str, kind: int = TensorProto.FLOAT, shape: tuple[str | int, ...] = ("N", 1, "H", "W")) -> object:
    return helper.make_tensor_value_info(name, kind, shape)


def levels(name: str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["N"])


def model_of(
    nodes: list[onnx.NodeProto], inputs: list[object], outputs: list[object], domains: tuple[str, ...] = ("",)
) -> bytes:
    graph = helper.make_graph(nodes, "test", inputs, outputs)  # type: ignore[arg-type]
    opsets = [helper.make_opsetid(domain, 13 if not domain else 1) for domain in domains]
    return bytes(helper.make_model(graph, ir_version=8, opset_imports=opsets).SerializeToString())


def identity(kind: str = "Identity", domain: str = "") -> list[onnx.NodeProto]:
    return [helper.make_node(kind, ["x"], ["y"], domain=domain)]


SAME = [helper.make_node("Relu", ["x"], ["y"])]
BAD = {
    "empty": (b"", "is not an ONNX file"),
    "text": (b"<!DOCTYPE html><html>Not found</html>\n" * 20, "is not an ONNX file"),
    "cut": (random_network()[:400], "is not an ONNX file"),
    "three channels": (make_onnx(SAME, {}, ("N", 3, "H", "W")), "takes 3 channels"),
    "three channels out": (
        make_onnx([helper.make_node("Concat", ["x"] * 3, ["y"], axis=1)], {}),
        "gives 3 channels",
    ),
    "fixed size": (make_onnx(SAME, {}, ("N", 1, 1080, 1920)), r"planes of a fixed size, \[free, 1, 1080, 1920\]"),
    "fixed height": (make_onnx(SAME, {}, (1, 1, 1080, "W")), r"planes of a fixed size, \[1, 1, 1080, free\]"),
    "three planes at a time": (make_onnx(SAME, {}, (3, 1, "H", "W")), "fixed size"),
    "no batch": (make_onnx(SAME, {}, (1, "H", "W")), "takes 3 dimensions"),
    "half precision": (
        model_of(SAME, [plane("x", TensorProto.FLOAT16)], [plane("y", TensorProto.FLOAT16)]),
        "takes float16",
    ),
    "bytes": (model_of(identity(), [plane("x", TensorProto.UINT8)], [plane("y", TensorProto.UINT8)]), "takes uint8"),
    "half precision out": (
        model_of(
            [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT16)],
            [plane("x")],
            [plane("y", TensorProto.FLOAT16)],
        ),
        "gives float16",
    ),
    "two inputs": (
        model_of([helper.make_node("Add", ["x", "z"], ["y"])], [plane("x"), plane("z")], [plane("y")]),
        "takes 2 inputs",
    ),
    "two outputs": (
        model_of([*SAME, helper.make_node("Abs", ["x"], ["z"])], [plane("x")], [plane("y"), plane("z")]),
        "gives 2 outputs",
    ),
    "unknown operator": (make_onnx(identity("Sharpen"), {}), "Sharpen"),
    "unknown domain": (
        model_of(identity("FusedConv", "com.microsoft"), [plane("x")], [plane("y")], ("", "com.microsoft")),
        "not ONNX's own, of com.microsoft",
    ),
    "half the size": (
        make_onnx([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])], {}),
        "0.5 times as high and 0.5 times as wide",
    ),
    "five times the size": (random_doubler(scale=5), "5 times as high and 5 times as wide"),
    "a level of another name": (
        model_of([helper.make_node("Add", ["x", "level"], ["y"])], [plane("x"), levels("level")], [plane("y")]),
        "takes 2 inputs",
    ),
    "levels as whole numbers": (
        model_of(
            [helper.make_node("Cast", ["q"], ["f"], to=TensorProto.FLOAT), helper.make_node("Add", ["x", "f"], ["y"])],
            [plane("x"), levels("q", TensorProto.INT64)],
            [plane("y")],
        ),
        r"takes levels \(q\) that are not \[N\] float32",
    ),
    "twice as wide": (
        make_onnx([helper.make_node("Concat", ["x", "x"], ["y"], axis=3)], {}),
        "1 times as high and 2 times as wide",
    ),
    "no padding": (
        make_onnx([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": np.ones((1, 1, 3, 3), np.float32)}),
        "gives a plane that lacks 2 rows and 2 columns: pad its layers",
    ),
    "a picture inside": (
        make_onnx([helper.make_node("Add", ["x", "w"], ["y"])], {"w": np.ones((1, 1, 270, 480), np.float32)}),
        "cannot take planes of any size",
    ),
    "a coarse grid": (random_network(32, channels=1), "multiples of more than 16"),
    "newer than the library": (
        bytes(
            helper.make_model(
                helper.make_graph(SAME, "test", [plane("x")], [plane("y")]),  # type: ignore[list-item]
                opset_imports=[helper.make_opsetid("", 999)],
            ).SerializeToString()
        ),
        "version 999",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_follow_the_contract_is_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    data, message = BAD[name]
    with pytest.raises(vs.Error, match=message) as caught:
        load_network(written(tmp_path, data))
    what, todo = str(caught.value).splitlines()
    assert what.startswith("srcomp: own.onnx ")
    assert "[N, 1, H, W] float32" in todo


def test_functions_in_the_file_are_taken_apart(tmp_path: Path) -> None:
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 13)]
    )
    graph = helper.make_graph(identity("Twice", "own"), "test", [plane("x")], [plane("y")])  # type: ignore[list-item]
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, ir_version=8, opset_imports=opsets, functions=[function])
    network = load_network(written(tmp_path, bytes(model.SerializeToString())))
    assert [node.op_type for node in onnx.load_from_string(network.onnx).graph.node] == ["Add"]
    assert network.sha256 == hashlib.sha256(network.onnx).hexdigest()


def with_external_weights(folder: Path, location: str, offset: int = 0, length: int | None = None) -> Path:
    """`random_network`, whose first weights lie in another file."""
    model = onnx.load_from_string(random_network())
    tensor = model.graph.initializer[0]
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = {"location": location, "offset": str(offset), "length": str(len(data) if length is None else length)}
    for key, value in entry.items():
        tensor.external_data.add(key=key, value=value)
    folder.mkdir(exist_ok=True)
    (folder / "own.bin").write_bytes(bytes(16) + data)
    return written(folder, bytes(model.SerializeToString()))


@pytest.mark.parametrize("location", ["own.bin", "./own.bin", "weights/own.bin"])
def test_external_tensors_beside_the_model_are_taken_in(location: str, tmp_path: Path) -> None:
    path = with_external_weights(tmp_path, location, offset=16)
    if "weights" in location:
        (tmp_path / "weights").mkdir()
        (tmp_path / "own.bin").rename(tmp_path / location)
    network = load_network(path)
    assert network.sha256 == hashlib.sha256(network.onnx).hexdigest()
    original = onnx.load_from_string(random_network())
    taken_in = onnx.load_from_string(network.onnx)
    for expected, got in zip(original.graph.initializer, taken_in.graph.initializer, strict=True):
        assert np.array_equal(numpy_helper.to_array(expected), numpy_helper.to_array(got))


def test_other_external_tensors_make_another_network(tmp_path: Path) -> None:
    path = with_external_weights(tmp_path, "own.bin", offset=16)
    before = read_network(path)
    weights = tmp_path / "own.bin"
    weights.write_bytes(weights.read_bytes()[:-4] + bytes(4))
    assert read_network(path).sha256 != before.sha256


@pytest.mark.parametrize(
    "location", ["../own.bin", "sub/../../own.bin", "..\\own.bin", "C:\\own.bin", "absolute", "link", "linked/own.bin"]
)
def test_external_tensors_outside_the_folder_are_refused(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    path = with_external_weights(folder, str(tmp_path / "own.bin") if location == "absolute" else location, offset=16)
    (folder / "own.bin").rename(tmp_path / "own.bin")
    (folder / "sub").mkdir()
    (folder / "link").symlink_to(tmp_path / "own.bin")
    (folder / "linked").symlink_to(tmp_path)
    with pytest.raises(vs.Error, match=r"srcomp: own.onnx keeps the tensor 'w0' outside its own folder"):
        load_network(path)


@pytest.mark.parametrize("broken", ["missing", "short", "negative", "no number", "folder", "pipe"])
def test_external_tensors_that_cannot_be_read_are_refused(broken: str, tmp_path: Path) -> None:
    offset = {"short": 20, "negative": -1}.get(broken, 16)
    path = with_external_weights(tmp_path, "own.bin", offset=offset)
    weights = tmp_path / "own.bin"
    match broken:
        case "missing":
            weights.unlink()
        case "folder":
            weights.unlink()
            weights.mkdir()
        case "pipe":
            weights.unlink()
            os.mkfifo(weights)
        case "no number":
            path.write_bytes(path.read_bytes().replace(b"\x0216", b"\x02xy"))
    with pytest.raises(vs.Error, match="not there or too short"):
        load_network(path)


def test_tensors_of_another_size_than_they_say_are_refused(tmp_path: Path) -> None:
    path = with_external_weights(tmp_path, "own.bin", offset=16, length=8)
    with pytest.raises(vs.Error, match="is not a valid ONNX file"):
        load_network(path)


def test_a_file_that_has_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = random_network(2, channels=4), random_network(4, channels=4)
    monkeypatch.chdir(tmp_path)
    assert load_network(Path(written(tmp_path, first).name)).stride == 2
    assert load_network(Path(written(tmp_path, second).name)).stride == 4
    folder = tmp_path / "folder"
    folder.mkdir()
    written(folder, first)
    monkeypatch.chdir(folder)
    assert load_network(Path("own.onnx")).stride == 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(random_network())
    (weights,) = (tensor for tensor in model.graph.initializer if tensor.name == "w1")
    broken = numpy_helper.to_array(weights).copy()
    broken[0, 0, 0, 0] = value
    weights.CopyFrom(numpy_helper.from_array(broken, "w1"))
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(
        vs.Error, match=r"own\.onnx has weights that are not finite, in 'w1': its training has failed\n"
    ):
        read_network(tmp_path / "own.onnx")
