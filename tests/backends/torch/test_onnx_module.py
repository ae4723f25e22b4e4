import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import vapoursynth as vs
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tests.helpers.networks import make_onnx, one_of_each, random_network
from tests.tolerances import FLOAT32_SUMS
from vs_srcomp.backends.torch.onnx_module import OnnxModule
from vs_srcomp.models import load_network, network_at

type Floats = NDArray[np.float32]
node: Callable[..., NodeProto] = helper.make_node
rng = np.random.default_rng(3)


def weights(*shape: int) -> Floats:
    return rng.normal(0, 0.4, shape).astype(np.float32)


def run(network: bytes, picture: Floats) -> Floats:
    module = OnnxModule(network)
    with torch.inference_mode():
        given = torch.from_numpy(picture.copy())
        result = module(given)
        assert np.array_equal(given.numpy(), picture), "the input was overwritten"
        if module.has_skip:
            result = result + given
    values: Floats = result.numpy()
    return values


def expected(network: bytes, picture: Floats) -> Floats:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # It warns of weights that a graph does not use.
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    values: Floats = session.run(None, {session.get_inputs()[0].name: picture})[0]
    return values


def check(network: bytes, shape: Sequence[int] = (1, 1, 12, 20)) -> None:
    picture = np.random.default_rng(1).random(shape, np.float32)
    wanted = expected(network, picture)
    assert np.ptp(wanted) > 0
    np.testing.assert_allclose(run(network, picture), wanted, **FLOAT32_SUMS)


# Eight channels made of the picture, and what comes after them.
def with_features(nodes: list[NodeProto], extra: dict[str, Any], opset: int = 13) -> bytes:
    head = node("Conv", ["x", "head"], ["f"], pads=[1] * 4)
    return at_opset(make_onnx([head, *nodes], {"head": weights(8, 1, 3, 3), **extra}), opset)


def at_opset(network: bytes, opset: int) -> bytes:
    model = onnx.load_model_from_string(network)
    model.opset_import[0].version = opset
    return bytes(model.SerializeToString())


def ints(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


def floats(*numbers: float) -> Floats:
    return np.array(numbers, np.float32)


OPERATORS: dict[str, bytes] = {
    "Conv with bias, stride and padding at one side": with_features(
        [node("Conv", ["f", "w", "b"], ["y"], strides=[2, 1], pads=[1, 0, 2, 1])],
        {"w": weights(5, 8, 3, 3), "b": weights(5)},
    ),
    "Conv in groups, dilated": with_features(
        [node("Conv", ["f", "w"], ["y"], group=4, dilations=[2, 3], pads=[2, 3, 2, 3])], {"w": weights(8, 2, 3, 3)}
    ),
    "Conv, same size, upper": with_features(
        [node("Conv", ["f", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])], {"w": weights(3, 8, 4, 3)}
    ),
    "Conv, same size, lower": with_features(
        [node("Conv", ["f", "w"], ["y"], auto_pad="SAME_LOWER")], {"w": weights(3, 8, 4, 2)}
    ),
    "Conv, no padding": with_features([node("Conv", ["f", "w"], ["y"], auto_pad="VALID")], {"w": weights(3, 8, 3, 3)}),
    "ConvTranspose": with_features(
        [node("ConvTranspose", ["f", "w", "b"], ["y"], strides=[2, 2], pads=[1] * 4, output_padding=[1, 0])],
        {"w": weights(8, 3, 4, 4), "b": weights(3)},
    ),
    "Relu": with_features([node("Relu", ["f"], ["y"])], {}),
    "LeakyRelu": with_features([node("LeakyRelu", ["f"], ["y"], alpha=0.3)], {}),
    "LeakyRelu with the standard's slope": with_features([node("LeakyRelu", ["f"], ["y"])], {}),
    "PRelu": with_features([node("PRelu", ["f", "s"], ["y"])], {"s": weights(8, 1, 1)}),
    "Clip": with_features([node("Clip", ["f", "l", "h"], ["y"])], {"l": floats(-0.2)[0:1].reshape(()), "h": weights()}),
    "Clip above only": with_features([node("Clip", ["f", "", "h"], ["y"])], {"h": np.array(0.1, np.float32)}),
    "Clip with attributes": with_features([node("Clip", ["f"], ["y"], min=-0.1, max=0.2)], {}, opset=9),
    "Concat": with_features([node("Concat", ["f", "x", "f"], ["y"], axis=1)], {}),
    "DepthToSpace, depth first": with_features([node("DepthToSpace", ["f"], ["y"], blocksize=2, mode="DCR")], {}),
    "DepthToSpace, column first": with_features([node("DepthToSpace", ["f"], ["y"], blocksize=2, mode="CRD")], {}),
    "SpaceToDepth": with_features([node("SpaceToDepth", ["f"], ["y"], blocksize=2)], {}),
    "Pad with zeros": with_features([node("Pad", ["f", "p"], ["y"])], {"p": ints(0, 0, 1, 2, 0, 0, 3, 4)}),
    "Pad with a number": with_features(
        [node("Pad", ["f", "p", "v"], ["y"])], {"p": ints(0, 0, 1, 2, 0, 0, 3, 4), "v": np.array(0.5, np.float32)}
    ),
    "Pad by reflection": with_features(
        [node("Pad", ["f", "p"], ["y"], mode="reflect")], {"p": ints(0, 0, 1, 2, 0, 0, 3, 4)}
    ),
    "Pad with the edge": with_features(
        [node("Pad", ["f", "p"], ["y"], mode="edge")], {"p": ints(0, 0, 1, 2, 0, 0, 3, 4)}
    ),
    "Pad of some axes": with_features(
        [node("Pad", ["f", "p", "", "a"], ["y"], mode="edge")], {"p": ints(1, 2, 3, 4), "a": ints(3, 2)}, opset=18
    ),
    "Pad with attributes": with_features(
        [node("Pad", ["f"], ["y"], pads=[0, 0, 1, 0, 0, 0, 0, 2], value=0.25)], {}, opset=9
    ),
    "Resize, nearest": with_features(
        [node("Resize", ["f", "", "s"], ["y"], mode="nearest", coordinate_transformation_mode="asymmetric")],
        {"s": floats(1, 1, 2, 2)},
    ),
    "Resize, nearest by three": with_features(
        [node("Resize", ["f", "", "s"], ["y"], mode="nearest")], {"s": floats(1, 1, 3, 2)}
    ),
    "Resize, nearest below": with_features(
        [
            node(
                "Resize",
                ["f", "", "s"],
                ["y"],
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        ],
        {"s": floats(1, 1, 4, 3)},
    ),
    "Resize, linear": with_features([node("Resize", ["f", "", "s"], ["y"], mode="linear")], {"s": floats(1, 1, 2, 2)}),
    "Resize, cubic": with_features([node("Resize", ["f", "", "s"], ["y"], mode="cubic")], {"s": floats(1, 1, 2, 2)}),
    "Resize of old files": with_features([node("Resize", ["f", "s"], ["y"])], {"s": floats(1, 1, 2, 2)}, opset=10),
    "Cast": with_features([node("Cast", ["f"], ["y"], to=TensorProto.FLOAT)], {}),
    "Constants of every kind": with_features(
        [
            node("Constant", [], ["a"], value=numpy_helper.from_array(weights(8, 1, 1))),
            node("Constant", [], ["b"], value_float=0.5),
            node("Constant", [], ["c"], value_floats=[0.25]),
            node("Mul", ["f", "a"], ["g"]),
            node("Add", ["g", "b"], ["h"]),
            node("Sub", ["h", "c"], ["y"]),
        ],
        {},
    ),
    **{kind: with_features([node(kind, ["f"], ["y"])], {}) for kind in ("Identity", "Sigmoid", "Tanh")},
    **{
        kind: with_features([node(kind, ["f", "c"], ["y"])], {"c": 1 + np.abs(weights(8, 1, 1))})
        for kind in ("Add", "Sub", "Mul", "Div")
    },
}


@pytest.mark.parametrize("network", OPERATORS.values(), ids=OPERATORS.keys())
def test_operator_is_that_of_onnx_runtime(network: bytes) -> None:
    check(network)


@pytest.mark.parametrize("model", one_of_each(), ids=lambda model: model.name)
def test_networks_of_the_package_are_those_of_onnx_runtime(model: Any) -> None:
    network = network_at(load_network(model), 30)
    assert OnnxModule(network.onnx).has_skip
    check(network.onnx, (2, 1, 4 * network.stride, 6 * network.stride))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_values_that_are_used_again_are_not_overwritten(data: st.DataObject) -> None:
    """Chains of operators that share values, among them all that could be computed in place or give a view."""
    nodes, names = [], ["f"]
    for index in range(data.draw(st.integers(1, 7))):
        kind = data.draw(st.sampled_from(["Relu", "LeakyRelu", "Clip", "Identity", "Cast", "Add", "Mul", "Conv"]))
        taken = data.draw(st.lists(st.sampled_from(names), min_size=2, max_size=2))
        name = f"v{index}"
        match kind:
            case "Add" | "Mul":
                nodes.append(node(kind, taken, [name]))
            case "Clip":
                nodes.append(node(kind, [taken[0], "low"], [name]))
            case "Conv":
                nodes.append(node(kind, [taken[0], "w"], [name]))
            case "Cast":
                nodes.append(node(kind, taken[:1], [name], to=TensorProto.FLOAT))
            case _:
                nodes.append(node(kind, taken[:1], [name]))
        names.append(name)
    nodes.append(node("Concat", data.draw(st.permutations(names))[:3], ["y"], axis=1))
    check(with_features(nodes, {"low": np.array(-0.1, np.float32), "w": weights(8, 8, 1, 1)}), (1, 1, 4, 4))


def test_what_is_added_to_the_input_is_given_alone() -> None:
    module = OnnxModule(random_network())
    picture = torch.rand(1, 1, 8, 8)
    assert module.has_skip
    difference = expected(random_network(), picture.numpy()) - picture.numpy()
    np.testing.assert_allclose(module(picture).numpy(), difference, atol=1e-5)


def test_arithmetic_has_the_type_of_the_module_whatever_the_file_says() -> None:
    half = with_features([node("Cast", ["f"], ["g"], to=TensorProto.FLOAT16), node("Relu", ["g"], ["y"])], {})
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert OnnxModule(half, dtype)(torch.rand(1, 1, 8, 8)).dtype == dtype


def test_bfloat16_does_not_round_the_picture_itself() -> None:
    """Two pixels that are the same in bfloat16 have a difference that the first layer must see."""
    network = make_onnx(
        [node("Conv", ["x", "w"], ["f"]), node("Relu", ["f"], ["y"])],
        {"w": np.array([[[[-1024.0, 1024.0]]]], np.float32)},
    )
    picture = torch.tensor([[[[0.7500, 0.7505]]]])
    near, far = picture.to(torch.bfloat16).flatten().tolist()
    assert near == far
    assert OnnxModule(network, torch.bfloat16)(picture).item() == pytest.approx(0.512, rel=0.01)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Einsum", ["f"], ["y"], equation="nchw->nchw")], "operator Einsum, which the torch backend"),
        ([node("Relu", ["f"], ["y"], domain="com.example")], "operator Relu, which"),
        ([node("Pad", ["f", "p"], ["y"], mode="wrap")], "Pad with the mode wrap"),
        ([node("Cast", ["f"], ["y"], to=TensorProto.INT32)], "Cast with integers"),
        ([node("Conv", ["f", "f"], ["y"])], "Conv with an input 1 that is computed"),
        ([node("Clip", ["f", "f"], ["y"])], "Clip with an input 1 that is computed"),
        ([node("Split", ["f"], ["y", "z"], axis=1)], "Split with several outputs"),
        ([node("Resize", ["f", "", "s"], ["y"], mode="nearest")], "Resize with factors that are not whole"),
        (
            [node("Resize", ["f", "", "t"], ["y"], mode="linear", coordinate_transformation_mode="align_corners")],
            "Resize with the mode linear, align_corners",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_known_is_named(nodes: list[NodeProto], message: str) -> None:
    extra = {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "s": floats(1, 1, 1.5, 1.5), "t": floats(1, 1, 2, 2)}
    with pytest.raises(vs.Error, match=f"srcomp: the network has the operator {message}|{message}") as raised:
        OnnxModule(with_features(nodes, extra))
    assert "use another backend" in str(raised.value).splitlines()[-1]


def test_no_operator_warns() -> None:
    """Torch warns of what it will do differently; tests turn that into errors, and so would some hosts."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for network in OPERATORS.values():
            run(network, np.zeros((1, 1, 12, 20), np.float32))
