"""Planes as cells: squares of pixels that are contiguous in memory, for networks on a coarser grid.

The first layer of such a network turns the pixels of each cell into features, and depth-to-space after the last one
turns features into pixels (sub-pixel convolution, Shi et al. 2016, arXiv 1609.05158). On planes, both are passes over
single float32 pixels that are far apart in memory. On cells, both are ordinary convolutions. The conversion is part of
the copy to and from the network, which moves a row of a cell as one number.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vs_srcomp.backends.base import Luma, PlaneFormat, copy_with_edges
from vs_srcomp.backends.openvino.graph import residual_of, to_codes

if TYPE_CHECKING:
    import openvino as ov

# Sides for which a row of a cell, of one or two bytes per pixel, is a machine integer.
_SIDES = (2, 4)

# The pixels of a cell are the last axis in memory, but the second one (channels) in a network.
_CHANNELS_FIRST = np.array([0, 3, 1, 2])
_CHANNELS_LAST = np.array([0, 2, 3, 1])


def in_cells(model: "ov.Model") -> "ov.Model | None":
    """The same network with [1, side * side, H / side, W / side] as input and output.

    Args:
        model: A network on [1, 1, H, W], which is consumed.

    Returns:
        None, with ``model`` untouched, if the first layer does not step from cell to cell, or if the network does not
        end in depth-to-space and the addition of its input.
    """
    import openvino as ov
    from openvino import opset13 as op

    (parameter,), (result,) = model.get_parameters(), model.get_results()
    residual = residual_of(result.input_value(0), parameter)
    if residual is None or residual.get_node().get_type_name() != "DepthToSpace":
        return None
    spreading = residual.get_node().get_attributes()
    side = spreading["block_size"]
    users = [port.get_node() for port in parameter.output(0).get_target_inputs()]
    heads = [node for node in users if node.get_type_name() == "Convolution"]
    _, _, height, width = (length.get_length() for length in parameter.get_partial_shape())
    is_whole = side in _SIDES and not (height % side or width % side) and spreading["mode"] == "depth_first"
    if not (is_whole and len(users) == 2 and len(heads) == 1 and _steps_by(side, heads[0])):
        return None

    kernels, how = np.array(heads[0].input_value(1).get_node().data, np.float32), heads[0].get_attributes()
    outputs, _, rows, columns = (length // step for length, step in zip(kernels.shape, (1, 1, side, side), strict=True))
    kernels = kernels.reshape(outputs, rows, side, columns, side).transpose(0, 2, 4, 1, 3)
    kernels = kernels.reshape(outputs, side * side, rows, columns)
    cells = op.parameter([1, side * side, height // side, width // side], np.float32)
    pads = ([length // side for length in how[name]] for name in ("pads_begin", "pads_end"))
    heads[0].output(0).replace(op.convolution(cells, kernels, [1, 1], *pads, [1, 1]).output(0))
    return ov.Model([op.add(cells, residual.get_node().input_value(0))], [cells], model.get_friendly_name())


def with_integer_cells(model: "ov.Model", plane: PlaneFormat) -> "ov.Model":
    """Wrap ``model``, from :func:`in_cells`: codes of ``plane``, [1, H/side, W/side, side²], as input and output.

    The same cells are two inputs: one for the layers, which may read integers, and one for the skip, which stays exact.
    """
    import openvino as ov
    from openvino import opset13 as op

    (parameter,), (result,) = model.get_parameters(), model.get_results()
    _, pixels, rows, columns = (length.get_length() for length in parameter.get_partial_shape())
    kind = ov.Type(plane.dtype)
    codes, again = (op.parameter([1, rows, columns, pixels], kind, name=name) for name in ("codes", "the same codes"))
    layers, skip = (op.convert(op.transpose(cells, _CHANNELS_FIRST), "f32") for cells in (codes, again))
    residual = residual_of(result.input_value(0), parameter)
    luma = op.multiply(layers, np.float32(1 / plane.code_scale))
    for port in parameter.output(0).get_target_inputs():
        port.replace_source_output(luma.output(0))
    restored = to_codes(op.add(skip, op.multiply(residual, np.float32(plane.code_scale))), plane)
    return ov.Model([op.transpose(restored, _CHANNELS_LAST)], [codes, again], "srcomp")


class Cells:
    """A buffer of cells for planes of one size, which a network reads or writes."""

    def __init__(self, cells: NDArray[np.unsignedinteger[Any]], width: int, height: int) -> None:
        """Use ``cells``, (1, rows, columns, side * side), for planes of that size in pixels.

        Planes may end inside the last row and column of cells.
        """
        _, rows, columns, pixels = cells.shape
        side = math.isqrt(pixels)
        number = np.dtype(f"u{side * cells.itemsize}")
        # Rows of cells, cells, and rows of pixels in each.
        self._cells = cells.view(number).reshape(rows, columns, side)
        self._shape = rows, side, columns
        self._number = number
        is_whole = (rows * side, columns * side) == (height, width)
        self._whole = None if is_whole else np.empty((rows * side, columns * side), cells.dtype)

    def gather(self, plane: Luma) -> None:
        """Copy from ``plane``; incomplete cells at its right and lower border repeat the last column and row."""
        if self._whole is not None:
            copy_with_edges(plane, self._whole)
            plane = self._whole
        rows = self._rows_of(plane)
        # NumPy would make the shortest axis the innermost loop.
        for row in range(self._shape[1]):
            self._cells[:, :, row] = rows[:, row]

    def spread(self, plane: Luma) -> None:
        """Copy to ``plane``."""
        whole = plane if self._whole is None else self._whole
        np.copyto(self._rows_of(whole), self._cells.transpose(0, 2, 1))
        if self._whole is not None:
            height, width = plane.shape
            np.copyto(plane, self._whole[:height, :width])

    def _rows_of(self, plane: Luma) -> NDArray[np.unsignedinteger[Any]]:
        return plane.view(self._number).reshape(self._shape)


def _steps_by(side: int, convolution: "ov.Node") -> bool:
    """Whether ``convolution`` has constant weights that cover whole cells, and steps by one cell."""
    weights, how = convolution.input_value(1).get_node(), convolution.get_attributes()
    if weights.get_type_name() != "Constant" or how["auto_pad"] != "explicit" or how["dilations"] != [1, 1]:
        return False
    lengths = (*how["pads_begin"], *how["pads_end"], *weights.shape[2:])
    return list(how["strides"]) == [side, side] and not any(length % side for length in lengths)
