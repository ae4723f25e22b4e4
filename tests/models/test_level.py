"""Networks that take the level: what they are at one level, against the same network with the level as an input."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.helpers.networks import as_network, make_onnx, random_level_network, random_network
from tests.tolerances import FLOAT32_CONSTANTS, FLOAT32_FOLDED
from vs_srcomp.models import network_at
from vs_srcomp.models.graph import residual_of
from vs_srcomp.models.level import at_level

LEVELS = (0.0, 17.25, 20.0, 33.0, 35.5, 50.0, 63.0)


def picture(height: int = 24, width: int = 32) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((1, 1, height, width), np.float32)


def run(network: bytes, luma: NDArray[np.float32], q: float | None = None) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    levels = [] if q is None else [np.full(len(luma), q, np.float32)]
    names = [given.name for given in session.get_inputs()]
    (found,) = session.run(None, dict(zip(names, [luma, *levels], strict=True)))
    return np.asarray(found)


@pytest.mark.parametrize("q", LEVELS)
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("stride", [2, 4, 8])
def test_at_a_level_it_gives_what_the_network_gives_for_it(stride: int, residual: bool, half: bool, q: float) -> None:
    network = random_level_network(stride=stride, residual=residual, half=half)
    with_level = run(network, picture(), q)
    np.testing.assert_allclose(run(at_level(network, q), picture()), with_level, **FLOAT32_FOLDED)
    assert np.abs(with_level - picture()).max() > 0.1


@pytest.mark.parametrize("half", [False, True])
def test_it_gives_what_the_standard_says(half: bool) -> None:
    network, luma = random_level_network(residual=True, half=half), picture(8, 8)
    evaluator = ReferenceEvaluator(onnx.load_from_string(network))
    (found,) = map(np.asarray, evaluator.run(None, {"x": luma, "q": np.full(1, 35.5, np.float32)}))
    np.testing.assert_allclose(run(at_level(network, 35.5), luma), found, **FLOAT32_FOLDED)


def test_levels_differ() -> None:
    network = random_level_network()
    found = [run(at_level(network, q), picture()) for q in (20, 21, 40)]
    assert np.abs(found[0] - found[1]).max() > 1e-3
    assert np.abs(found[0] - found[2]).max() > 1e-2


@pytest.mark.parametrize("half", [False, True])
def test_what_is_left_is_a_network_for_one_level(half: bool) -> None:
    graph = onnx.load_from_string(at_level(random_level_network(half=half), 31)).graph
    assert [value.name for value in graph.input] == ["x"]
    assert [node.op_type for node in graph.node] == ["Conv", "Relu"] * 3 + ["Conv", "DepthToSpace", "Add"]
    assert [len(node.input) for node in graph.node if node.op_type == "Conv"] == [3] * 4
    assert {tensor.data_type for tensor in graph.initializer} == {TensorProto.FLOAT}
    assert {tensor.name for tensor in graph.initializer} == {
        name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]
    }
    onnx.checker.check_model(at_level(random_level_network(half=half), 31), full_check=True)


def test_what_training_exports_is_a_network_for_one_level() -> None:
    """Against the export for one level alone, which the tables of a trained network are folded into by other code."""
    torch = pytest.importorskip("torch")
    from train.networks.plain import PlainStack
    from train.onnx_levels import levels_to_onnx

    torch.manual_seed(1)
    network = PlainStack(stride=4, channels=8, layers=4)
    for table in (network.gains, network.shifts):
        torch.nn.init.normal_(table, std=0.2)
    exported = levels_to_onnx(network, "test")
    for q in (5, 20, 33.5, 60, 63):
        folded = at_level(exported, q)
        graph = onnx.load_from_string(folded).graph
        assert [node.op_type for node in graph.node] == ["Conv", "Relu"] * 3 + ["Conv", "DepthToSpace", "Add"]
        np.testing.assert_allclose(run(folded, picture()), run(exported, picture(), q), **FLOAT32_FOLDED)
    alone = "import sys; from vs_srcomp.models.level import at_level; at_level(sys.stdin.buffer.read(), 31);"
    subprocess.run([sys.executable, "-c", alone + "assert 'onnx' not in sys.modules"], input=exported, check=True)


def test_copies_go_so_that_a_skip_is_found() -> None:
    weights = {"w": np.ones((1, 1, 3, 3), np.float32)}
    nodes = [
        node("Identity", ["x"], ["same"]),
        node("Conv", ["same", "w"], ["c"], pads=[1] * 4),
        node("Identity", ["c"], ["d"]),
        node("Add", ["x", "d"], ["sum"]),
        node("Identity", ["sum"], ["y"]),
    ]
    plain = at_level(make_onnx(nodes, weights), 0)
    graph = onnx.load_from_string(plain).graph
    assert [each.op_type for each in graph.node] == ["Conv", "Add"]
    assert residual_of(graph) == "c"
    np.testing.assert_array_equal(run(plain, picture()), run(make_onnx(nodes, weights), picture()))


def test_the_same_level_gives_the_same_bytes() -> None:
    assert at_level(random_level_network(), 31) == at_level(random_level_network(), 31)


def test_a_network_without_a_level_stays_what_it_is() -> None:
    np.testing.assert_array_equal(run(at_level(random_network(), 31), picture()), run(random_network(), picture()))


def node(operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, outputs, **attributes)


def test_other_operators_on_the_level_are_computed_too() -> None:
    """Sigmoid, Concat, Gemm, Unsqueeze and Split without sizes, as frameworks write them, and a constant."""
    rng = np.random.default_rng(3)
    network = make_onnx(
        [
            node("Constant", [], ["sixty"], value=numpy_helper.from_array(np.array(60, np.float32))),
            node("Constant", [], ["axes"], value_ints=[1]),
            node("Unsqueeze", ["q", "axes"], ["column"]),
            node("Div", ["column", "sixty"], ["part"]),
            node("Sigmoid", ["part"], ["curve"]),
            node("Concat", ["part", "curve"], ["both"], axis=1),
            node("Gemm", ["both", "a", "b"], ["numbers"], transB=1),
            node("Split", ["numbers"], ["scale", "shift"], axis=1),
            node("Reshape", ["scale", "channel"], ["scale.4"]),
            node("Reshape", ["shift", "channel"], ["shift.4"]),
            node("Conv", ["x", "w", "bias"], ["c"], pads=[1] * 4),
            node("Mul", ["scale.4", "c"], ["m"]),
            node("Add", ["shift.4", "m"], ["s"]),
            node("Relu", ["s"], ["r"]),
            node("Conv", ["r", "v"], ["y"], pads=[1] * 4),
        ],
        {
            "a": rng.normal(0, 1, (8, 2)).astype(np.float32),
            "b": rng.normal(0, 1, 8).astype(np.float32),
            "channel": np.array([0, -1, 1, 1], np.int64),
            "w": rng.normal(0, 1, (4, 1, 3, 3)).astype(np.float32),
            "bias": rng.normal(0, 1, 4).astype(np.float32),
            "v": rng.normal(0, 1, (1, 4, 3, 3)).astype(np.float32),
        },
        levels=True,
    )
    plain = at_level(network, 41.5)
    assert [each.op_type for each in onnx.load_from_string(plain).graph.node] == ["Conv", "Relu", "Conv"]
    np.testing.assert_allclose(run(plain, picture()), run(network, picture(), 41.5), **FLOAT32_CONSTANTS)


def test_whole_numbers_truths_and_open_limits_are_those_of_the_standard() -> None:
    network = make_onnx(
        [
            node("Clip", ["q", "", "highest"], ["most"]),
            node("Cast", ["most"], ["whole"], to=TensorProto.INT64),
            node("Div", ["whole", "two"], ["half"]),
            node("Cast", ["half"], ["is.any"], to=TensorProto.BOOL),
            node("Cast", ["half"], ["number"], to=TensorProto.FLOAT),
            node("Where", ["is.any", "number", "most"], ["factor"]),
            node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
            node("Mul", ["c", "factor"], ["y"]),
        ],
        {
            "highest": np.array(7, np.float32),
            "two": np.array([2], np.int64),
            "w": np.random.default_rng(3).normal(0, 1, (1, 1, 3, 3)).astype(np.float32),
        },
        levels=True,
    )
    plain = at_level(network, 41.5)
    assert [each.op_type for each in onnx.load_from_string(plain).graph.node] == ["Conv"]
    np.testing.assert_allclose(run(plain, picture()), run(network, picture(), 41.5), **FLOAT32_CONSTANTS)


def test_what_cannot_be_merged_stays_as_constants() -> None:
    """A factor after the activation, a term by place, and a convolution that two operators use."""
    rng = np.random.default_rng(4)
    network = make_onnx(
        [
            node("Reshape", ["q", "all"], ["level"]),
            node("Mul", ["level", "small"], ["factor"]),
            node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
            node("Mul", ["c", "factor"], ["once"]),
            node("Add", ["c", "once"], ["twice"]),
            node("Relu", ["twice"], ["r"]),
            node("Mul", ["r", "factor"], ["m"]),
            node("Conv", ["m", "w"], ["d"], pads=[1] * 4),
            node("Add", ["d", "by row"], ["e"]),
            node("Mul", ["e", "factor"], ["y"]),
        ],
        {
            "all": np.array([-1, 1, 1, 1], np.int64),
            "small": np.array([0.02], np.float32),
            "w": rng.normal(0, 0.5, (1, 1, 3, 3)).astype(np.float32),
            "by row": rng.normal(0, 0.5, (1, 1, 24, 1)).astype(np.float32),
        },
        levels=True,
    )
    plain = at_level(network, 40)
    operators = [each.op_type for each in onnx.load_from_string(plain).graph.node]
    assert operators == ["Conv", "Mul", "Add", "Relu", "Mul", "Conv", "Add", "Mul"]
    np.testing.assert_allclose(run(plain, picture()), run(network, picture(), 40), **FLOAT32_CONSTANTS)


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_what_only_branches_need_stays(kind: str) -> None:
    def branch(name: str) -> onnx.GraphProto:
        scaled = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1, "H", "W"])
        return helper.make_graph([node("Mul", ["x", f"by {name}"], [name])], name, [], [scaled])

    network = make_onnx(
        [
            node("ReduceMean", ["x"], ["mean"], keepdims=0),
            node("Greater", ["mean", "half"], ["is bright"]),
            node("If", ["is bright"], ["scaled"], then_branch=branch("less"), else_branch=branch("more")),
            node("Cast", ["stored"], ["factor"], to=TensorProto.FLOAT),
            node("Mul", ["scaled", "factor"], ["y"]),
        ],
        {name: np.array(value, np.float32) for name, value in {"by less": 0.5, "by more": 2, "half": 0.5}.items()}
        | {"stored": np.array(0.25, kind)},
    )
    dark = picture() * np.float32(0.25)
    for luma, factor in ((dark, 0.5), (np.float32(1) - dark, 0.125)):
        np.testing.assert_allclose(run(at_level(network, 30), luma), luma * np.float32(factor), **FLOAT32_CONSTANTS)


def test_shared_weights_are_merged_for_each_convolution_alone() -> None:
    weights: dict[str, NDArray[Any]] = {
        "w": np.random.default_rng(5).normal(0, 0.5, (1, 1, 3, 3)).astype(np.float32),
        "all": np.array([-1, 1, 1, 1], np.int64),
    }
    nodes = [
        node("Reshape", ["q", "all"], ["level"]),
        node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        node("Add", ["c", "level"], ["shifted"]),
        node("Mul", ["shifted", "level"], ["scaled"]),
        node("Conv", ["scaled", "w"], ["d"], pads=[1] * 4),
        node("Mul", ["d", "level"], ["y"]),
    ]
    network = make_onnx(nodes, weights, levels=True)
    plain = at_level(network, 2)
    assert [each.op_type for each in onnx.load_from_string(plain).graph.node] == ["Conv", "Conv"]
    np.testing.assert_allclose(run(plain, picture()), run(network, picture(), 2), **FLOAT32_CONSTANTS)


def test_networks_at_levels_are_kept_apart_and_those_without_one_are_themselves() -> None:
    plain = as_network(random_network())
    assert network_at(plain, 20) is plain
    taking = as_network(random_level_network(), stride=4, takes_level=True)
    found = [network_at(taking, q) for q in (20, 21, 20)]
    assert found[0] is found[2]
    assert found[0] != found[1]
    assert found[0].onnx == at_level(taking.onnx, 20)
    assert not found[0].takes_level


def test_a_file_with_ranges_and_the_same_file_without_are_two_networks() -> None:
    """One is computed in 8-bit integers: its results are others."""
    bare = as_network(random_level_network(), stride=4, takes_level=True)
    ours = replace(bare, ranges=(1.0, 2.0, 3.0), name="ours")
    for networks in ((bare, ours), (ours, bare)):
        found = [network_at(each, 22) for each in networks]
        assert [each.ranges for each in found] == [each.ranges for each in networks]
        assert found[0] != found[1]
        network_at.cache_clear()


def test_our_networks_are_put_at_a_level_without_the_onnx_library() -> None:
    """It takes a tenth of a second to load, of a third that a script takes to its first graph."""
    program = (
        "import sys\n"
        "from vs_srcomp.models.level import at_level\n"
        "data = sys.stdin.buffer.read()\n"
        "plain = at_level(data, 31)\n"
        "assert 'onnx' not in sys.modules\n"
        "import onnx\n"
        "onnx.checker.check_model(plain, full_check=True)\n"
        "assert at_level(data, 31) == plain\n"
    )
    for half in (False, True):
        subprocess.run([sys.executable, "-c", program], input=random_level_network(half=half), check=True)
