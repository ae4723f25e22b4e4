from typing import Any

import numpy as np
import openvino
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import NodeProto, helper

from tests.helpers.networks import make_onnx, one_of_each, random_doubler, random_network
from tests.helpers.pictures import picture
from vs_srcomp.backends import OpenVINO
from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.backends.openvino.cells import Cells, in_cells
from vs_srcomp.models import Model, Network, load_network, network_at


def as_model(network: bytes, height: int = 24, width: int = 48) -> openvino.Model:
    model = openvino.Core().read_model(network, b"")
    model.reshape([1, 1, height, width])
    return model


def shape_of(model: openvino.Model | None) -> list[int]:
    assert model is not None
    (parameter,) = model.get_parameters()
    return [length.get_length() for length in parameter.get_partial_shape()]


@given(
    st.integers(1, 21), st.integers(1, 21), st.sampled_from([2, 4]), st.sampled_from([np.uint8, np.uint16]), st.data()
)
def test_cells_hold_their_pixels_row_by_row(
    width: int, height: int, side: int, kind: type[np.uint8 | np.uint16], data: st.DataObject
) -> None:
    seed, border = data.draw(st.integers(0, 999)), data.draw(st.integers(0, 5))
    # Planes are part of larger ones in memory, as frames and tiles are.
    codes = np.random.default_rng(seed).integers(0, 256, (height, width + border), kind)
    given_plane: Luma = codes[:, :width]
    rows, columns = -(-height // side), -(-width // side)
    cells = np.zeros((1, rows, columns, side * side), kind)
    whole = np.pad(given_plane, ((0, rows * side - height), (0, columns * side - width)), mode="edge")

    both = Cells(cells, width, height)
    both.gather(given_plane)
    for row in range(rows):
        for column in range(columns):
            square = whole[row * side : (row + 1) * side, column * side : (column + 1) * side]
            assert np.array_equal(cells[0, row, column], square.ravel())
    taken: Luma = np.zeros((height, width + border), kind)
    both.spread(taken[:, :width])
    assert np.array_equal(taken[:, :width], given_plane)
    assert not taken[:, width:].any()


@pytest.mark.parametrize("stride", [2, 4])
def test_networks_of_this_form_run_on_cells(stride: int) -> None:
    cells = in_cells(as_model(random_network(stride=stride)))
    assert shape_of(cells) == [1, stride * stride, 24 // stride, 48 // stride]
    for model in one_of_each():
        if model.stride == stride:
            network = network_at(load_network(model), 30)
            expected = [1, stride * stride, 24 // stride, 48 // stride]
            assert shape_of(in_cells(as_model(network.onnx))) == expected


@pytest.mark.parametrize(
    "backend", [OpenVINO(precision="f32"), OpenVINO(precision="int8")], ids=lambda one: one.precision
)
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("model", one_of_each(), ids=lambda model: model.name)
def test_the_picture_is_that_of_whole_planes(
    model: Model, bits: int, backend: OpenVINO, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = PlaneFormat(95, 63, bits)
    codes = picture(plane)
    network = network_at(load_network(model), 30)
    if backend.precision == "int8" and network.ranges is None:
        pytest.skip("this model has no form in integers")
    on_cells = restore(backend, network, plane, codes)
    monkeypatch.setattr("vs_srcomp.backends.openvino.backend.in_cells", lambda model: None)
    on_planes = restore(backend, network, plane, codes)
    if backend.precision == "f32":
        error, residual = (np.square(a.astype(float) - on_planes).mean() ** 0.5 for a in (on_cells, codes))
        assert error < residual / 50
        return
    # Sums in another order are rounded to other integers now and then: both are to be as near to what is exact.
    exact = restore(OpenVINO(precision="f32"), network, plane, codes)
    of_cells, of_planes = (np.square(a.astype(float) - exact).mean() ** 0.5 for a in (on_cells, on_planes))
    assert of_cells < 1.15 * of_planes


def restore(backend: OpenVINO, network: Network, plane: PlaneFormat, codes: Luma) -> Luma:
    target = np.zeros_like(codes)
    backend.compile(network, plane).worker().restore(codes, target)
    return target


def cell_network(head: NodeProto, kernel: int = 6, mode: str = "CRD", plus: str = "x") -> bytes:
    nodes = [
        head,
        helper.make_node("DepthToSpace", ["h"], ["r"], blocksize=2, mode=mode),
        helper.make_node("Add", [plus, "r"], ["y"]),
    ]
    weights = np.random.default_rng(0).normal(0, 0.1, (4, 1, kernel, kernel)).astype(np.float32)
    return make_onnx(nodes, {"w": weights})


def head(**attributes: Any) -> NodeProto:
    return helper.make_node("Conv", ["x", "w"], ["h"], **{"strides": [2, 2], "pads": [2] * 4, **attributes})


OTHERS = {
    "doubles": random_doubler(),
    "a step of one": random_network(stride=1),
    "a step of three": random_network(stride=3),
    "columns before rows": cell_network(head(), mode="DCR"),
    "sees parts of cells": cell_network(head(pads=[1] * 4), kernel=4),
    "dilated": cell_network(head(dilations=[3, 3], pads=[4] * 4), kernel=4),
    "adds twice what it gives": cell_network(head(), plus="r"),
}


def test_the_form_is_not_too_narrow() -> None:
    assert in_cells(as_model(cell_network(head()))) is not None


@pytest.mark.parametrize("name", OTHERS)
def test_others_stay_as_they_are(name: str) -> None:
    model = as_model(OTHERS[name])
    before = [node.get_type_name() for node in model.get_ordered_ops()]
    assert in_cells(model) is None
    assert [node.get_type_name() for node in model.get_ordered_ops()] == before
