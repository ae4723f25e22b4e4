"""Computed receptive fields against the output pixels that change with one input pixel."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from tests.helpers.networks import make_onnx
from vs_srcomp.models.inspection import read_network

WIDTH = 96
HEIGHT = 12


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models") / "network.onnx"


class Chain:
    """A network that is made operator by operator.

    Its weights are positive and it has no activations, so that no influence of one pixel on another is cancelled.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, NDArray[np.float32]] = {}
        self.last = "x"

    def add(self, kind: str, weights: list[tuple[int, ...]] | None = None, **attributes: Any) -> None:
        names = [f"w{len(self.weights) + index}" for index in range(len(weights or []))]
        self.weights |= {
            name: np.full(shape, 0.1, np.float32) for name, shape in zip(names, weights or [], strict=True)
        }
        self.append(kind, names, **attributes)

    def append(self, kind: str, others: list[str], **attributes: Any) -> None:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.last, *others], [name], **attributes))
        self.last = name

    def onnx(self) -> bytes:
        return make_onnx([*self.nodes, helper.make_node("Identity", [self.last], ["y"])], self.weights)


@st.composite
def chains(draw: st.DrawFn) -> tuple[bytes, int]:
    """A network of local operators, and its scale."""
    chain = Chain()
    for block in draw(st.lists(st.sampled_from(["conv", "valid", "pool", "strided", "packed", "skip"]), max_size=3)):
        before = chain.last
        kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 2))
        pads = lopsided(draw, (kernel - 1) * dilation)
        window = {"dilations": [dilation] * 2, "kernel_shape": [kernel] * 2}
        match block:
            case "conv":
                chain.add("Conv", [(1, 1, kernel, kernel)], pads=pads, **window)
            case "valid":
                name = f"pads{len(chain.nodes)}"
                pad = numpy_helper.from_array(np.array([0, 0, *pads[:2], 0, 0, *pads[2:]]), name)
                chain.nodes.append(helper.make_node("Constant", [], [name], value=pad))
                chain.append("Pad", [name], mode=draw(st.sampled_from(["constant", "edge", "reflect"])))
                chain.add("Conv", [(1, 1, kernel, kernel)], **window)
            case "pool":
                chain.add("MaxPool", pads=lopsided(draw, kernel - 1), kernel_shape=[kernel] * 2)
            case "strided":
                stride = draw(st.integers(2, 4))
                pads, size = lopsided(draw, kernel - 1), stride + kernel - 1
                chain.add("Conv", [(stride**2, 1, size, size)], strides=[stride] * 2, pads=pads)
                if draw(st.booleans()):
                    chain.add("DepthToSpace", blocksize=stride, mode=draw(st.sampled_from(["CRD", "DCR"])))
                else:
                    chain.add("ConvTranspose", [(stride**2, 1, size, size)], strides=[stride] * 2, pads=pads)
            case "packed":
                chain.add("SpaceToDepth", blocksize=2)
                chain.add("Conv", [(4, 4, kernel, kernel)], pads=pads, **window)
                chain.add("DepthToSpace", blocksize=2)
            case "skip":
                chain.add("Conv", [(1, 1, kernel, kernel)], pads=pads, **window)
                branch, chain.last = chain.last, before
                chain.add("Conv", [(1, 1, 3, 3)], pads=lopsided(draw, 2))
                chain.append("Add", [branch])
    scale = draw(st.sampled_from([1, 2]))
    if scale == 2:
        chain.add("ConvTranspose", [(1, 1, 4, 4)], strides=[2, 2], pads=[1, 1, 1, 1])
    return chain.onnx(), scale


def lopsided(draw: st.DrawFn, total: int) -> list[int]:
    """Padding by ``total`` pixels along each axis, divided between its two ends."""
    begin = draw(st.integers(0, total))
    return [begin, begin, total - begin, total - begin]


def measured_field(network: bytes, scale: int) -> int:
    """The receptive field along a row by its definition, from inputs that differ in one pixel each."""
    row = HEIGHT // 3
    inputs = np.zeros((WIDTH + 1, 1, HEIGHT, WIDTH), np.float32)
    inputs[np.arange(WIDTH), 0, row, np.arange(WIDTH)] = 1
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"x": inputs})[0]
    depends = (np.abs(outputs[:-1] - outputs[-1]) > 0).any(axis=(1, 2))  # By input column and output column.
    field = 0
    for target in range(scale * WIDTH // 3, scale * WIDTH * 2 // 3):
        (sources,) = np.nonzero(depends[:, target])
        left, right = target // scale - sources.min(), sources.max() - target // scale
        field = max(field, 2 * left, 2 * right, left + right + 1)
    return int(field)


@settings(max_examples=30, deadline=None)
@given(chains())
def test_every_pixel_that_counts_is_found_and_no_other(file: Path, chain: tuple[bytes, int]) -> None:
    onnx, scale = chain
    file.write_bytes(onnx)
    network = read_network(file)
    assert network.scale == scale
    assert network.receptive_field == measured_field(onnx, scale)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("transformation", ["half_pixel", "asymmetric"])
@pytest.mark.parametrize("factors", [(2,), (0.5, 4), (0.25, 4), (3, 1 / 3)])
def test_interpolation_is_covered(file: Path, factors: tuple[float, ...], mode: str, transformation: str) -> None:
    chain = Chain()
    for factor in factors:
        chain.add("Conv", [(1, 1, 3, 3)], pads=[1] * 4)
        chain.weights |= {"none": np.zeros(0, np.float32), f"s{factor}": np.array([1, 1, factor, factor], np.float32)}
        rule = {"mode": mode, "coordinate_transformation_mode": transformation}
        chain.append("Resize", ["none", f"s{factor}"], **rule)
    onnx = chain.onnx()
    file.write_bytes(onnx)
    network = read_network(file)
    assert network.receptive_field is not None
    measured = measured_field(onnx, network.scale)
    assert measured <= network.receptive_field <= measured + 2 * max(1, *(round(1 / factor) for factor in factors))


def test_borders_whose_width_is_computed_are_known(file: Path) -> None:
    """The widths as PyTorch writes them: by axis from the last, begin and end, then brought into the order of ONNX."""
    numbers = {
        "widths": [2, 2, 2, 2],
        "pairs": [-1, 2],
        "first": [-1],
        "last": [-(2**63) + 1],
        "axis": [0],
        "flat": [-1],
    }
    steps = [
        *(helper.make_node("Constant", [], [name], value_ints=value) for name, value in numbers.items()),
        helper.make_node("Constant", [], ["four"], value_ints=[4]),
        helper.make_node("ConstantOfShape", ["four"], ["zeros"], value=helper.make_tensor("", 7, [1], [0])),
        helper.make_node("Concat", ["widths", "zeros"], ["all"], axis=0),
        helper.make_node("Reshape", ["all", "pairs"], ["by axis"]),
        helper.make_node("Slice", ["by axis", "first", "last", "axis", "flat"], ["reversed"]),
        helper.make_node("Transpose", ["reversed"], ["begins and ends"], perm=[1, 0]),
        helper.make_node("Reshape", ["begins and ends", "flat"], ["listed"]),
        helper.make_node("Cast", ["listed"], ["pads"], to=7),
        helper.make_node("Pad", ["x", "pads"], ["padded"], mode="reflect"),
        helper.make_node("Conv", ["padded", "w"], ["y"]),
    ]
    file.write_bytes(make_onnx(steps, {"w": np.ones((1, 1, 5, 5), np.float32)}))
    network = read_network(file)
    assert (network.stride, network.scale, network.receptive_field) == (1, 1, 5)


def test_axes_may_differ(file: Path) -> None:
    for kernel in ((9, 3), (3, 9)):
        chain = Chain()
        chain.add("Conv", [(1, 1, *kernel)], pads=[kernel[0] // 2, kernel[1] // 2] * 2)
        file.write_bytes(chain.onnx())
        assert read_network(file).receptive_field == 9


@pytest.mark.parametrize(
    "name",
    ["GlobalAveragePool", "Softmax", "InstanceNormalization", "Transpose", "Resize to the corners"],
)
def test_what_may_look_anywhere_is_not_bounded(file: Path, name: str) -> None:
    chain = Chain()
    match name:
        case "GlobalAveragePool":
            chain.add("GlobalAveragePool")
            chain.append("Mul", ["x"])
        case "Softmax":
            chain.add("Softmax", axis=-1)
        case "InstanceNormalization":
            chain.add("InstanceNormalization", [(1,), (1,)])
        case "Transpose":
            chain.add("Transpose", perm=[0, 1, 3, 2])
            chain.add("Transpose", perm=[0, 1, 3, 2])
        case "Resize to the corners":
            chain.weights |= {"none": np.zeros(0, np.float32), "scales": np.array([1, 1, 2, 2], np.float32)}
            chain.append("Resize", ["none", "scales"], mode="linear", coordinate_transformation_mode="align_corners")
    file.write_bytes(chain.onnx())
    assert read_network(file).receptive_field is None
