"""Networks on parts of planes of any size, with padding only at borders of the plane.

The input is a part with the pixels around it that its result depends on. Without zero padding, a 3x3 layer outputs one
cell less on each side than its input, so that each layer computes only what the next ones need. Where a part ends at a
border of the plane, layers are padded as usual.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vs_srcomp.backends.base import Around, Luma
from vs_srcomp.backends.openvino.cells import Cells

if TYPE_CHECKING:
    import openvino as ov


class Directions(NamedTuple):
    """A pair for the horizontal and the vertical direction."""

    horizontally: bool
    vertically: bool


type Compile = Callable[[Directions], "tuple[ov.CompiledModel, bool]"]
"""Compiles a network without padding in some directions; also returns whether it takes cells."""

WITH_BORDERS = Directions(horizontally=False, vertically=False)


class CannotShrinkError(Exception):
    """The network is not a plain stack of layers."""


@dataclass(frozen=True)
class Parts:
    """How a network is compiled for parts of planes."""

    without_borders: Directions
    """Whether to remove the padding, so that the output is ``margin`` pixels smaller on each side."""
    margin: int

    def prepare(self, graph: "ov.Model", *, takes_cells: bool) -> None:
        """Change ``graph``, which has integer planes or cells as input and output, to dynamic sizes.

        Raises:
            CannotShrinkError: Its output would not have the right size.
        """
        if any(self.without_borders):
            if not takes_cells:
                raise CannotShrinkError
            self._remove_borders(graph)
        graph.reshape({port: _free(port.partial_shape, takes_cells=takes_cells) for port in graph.inputs})

    def _remove_borders(self, graph: "ov.Model") -> None:
        from openvino import opset13 as op

        layers, skip = graph.inputs
        _, _, _, pixels = (length.get_length() for length in layers.partial_shape)
        cells = self.margin // math.isqrt(pixels)
        # No length of 1, which would broadcast.
        inner = [2 + (0 if direction else 2 * cells) for direction in reversed(self.without_borders)]
        whole = [2 + 2 * cells] * 2
        # Sizes do not match while layers are changed one by one.
        graph.reshape({port: _free(port.partial_shape, takes_cells=True) for port in graph.inputs})
        for node in graph.get_ordered_ops():
            if node.get_type_name() != "Convolution":
                continue
            how = node.get_attributes()
            if how["pads_begin"] != how["pads_end"]:
                raise CannotShrinkError
            pads = [
                0 if removed else pad
                for pad, removed in zip(how["pads_begin"], reversed(self.without_borders), strict=True)
            ]
            inputs = node.input_value(0), node.input_value(1)
            node.output(0).replace(op.convolution(*inputs, how["strides"], pads, pads, how["dilations"]).output(0))
        try:
            graph.reshape({layers: [1, *whole, pixels], skip: [1, *inner, pixels]})
        except RuntimeError as reason:
            raise CannotShrinkError from reason
        if list(graph.output(0).partial_shape) != [1, *inner, pixels]:
            raise CannotShrinkError


class Compiled(NamedTuple):
    """A network for parts of planes."""

    model: "ov.CompiledModel"
    takes_cells: bool
    without_borders: Directions


class OpenVINOParts:
    """A network for parts of planes, compiled once for each combination of directions without padding."""

    def __init__(self, compile_without: Compile, scale: int, margin: int) -> None:
        """Wrap a network of ``scale``, and compile the form with padding."""
        self.scale = scale
        self.margin = margin
        self._compile = compile_without
        self._lock = threading.Lock()
        self._compiled = {WITH_BORDERS: Compiled(*compile_without(WITH_BORDERS), WITH_BORDERS)}

    def worker(self) -> "OpenVINOPartWorker":
        """A new worker."""
        return OpenVINOPartWorker(self)

    def compiled(self, without_borders: Directions) -> Compiled:
        """The network for windows ``without_borders``; the one with padding, which always works, if there is none."""
        with self._lock:
            if without_borders not in self._compiled:
                try:
                    compiled = Compiled(*self._compile(without_borders), without_borders)
                except CannotShrinkError:
                    compiled = self._compiled[WITH_BORDERS]
                self._compiled[without_borders] = compiled
            return self._compiled[without_borders]


class OpenVINOPartWorker:
    """Inference requests with buffers of the window's size."""

    def __init__(self, parts: OpenVINOParts) -> None:
        self._parts = parts
        self._requests: dict[Directions, _Request] = {}

    def restore(self, window: Luma, around: Around, target: Luma) -> None:
        """Run the network on a part; see ``PartWorker``."""
        margin = self._parts.margin
        without_borders = Directions(
            horizontally=around.left == around.right == margin, vertically=around.top == around.bottom == margin
        )
        if without_borders not in self._requests:
            self._requests[without_borders] = _Request(self._parts.compiled(without_borders), margin, self._parts.scale)
        self._requests[without_borders].run(window, around, target)


class _Request:
    def __init__(self, compiled: Compiled, margin: int, scale: int) -> None:
        self._request = compiled.model.create_infer_request()
        self._pixels = compiled.model.inputs[0].partial_shape[-1].get_length() if compiled.takes_cells else None
        self._lost = [margin if removed else 0 for removed in reversed(compiled.without_borders)]
        self._scale = scale

    def run(self, window: Luma, around: Around, target: Luma) -> None:
        height, width = (size - 2 * lost for size, lost in zip(window.shape, self._lost, strict=True))
        given = self._planes(window) if self._pixels is None else self._cells(window)
        for index, each in enumerate(given):
            self._request.set_input_tensor(index, _tensor(each))
        self._request.start_async()
        self._request.wait()
        result = self._request.get_output_tensor().data
        shape = height * self._scale, width * self._scale
        if self._pixels is None:
            restored = result.reshape(shape)
        elif shape == target.shape:
            Cells(result, width, height).spread(target)
            return
        else:
            restored = np.empty(shape, target.dtype)
            Cells(result, width, height).spread(restored)
        top, left = (around.top - self._lost[0]) * self._scale, (around.left - self._lost[1]) * self._scale
        np.copyto(target, restored[top : top + target.shape[0], left : left + target.shape[1]])

    def _planes(self, window: Luma) -> tuple[Luma]:
        # A copy: frames are read-only, and OpenVINO refuses such memory.
        return (np.array(window, order="C")[None, None],)

    def _cells(self, window: Luma) -> tuple[Luma, Luma]:
        """For the layers, and for the skip."""
        assert self._pixels is not None
        height, width = window.shape
        side = math.isqrt(self._pixels)
        cells: Luma = np.empty((1, height // side, width // side, self._pixels), window.dtype)
        Cells(cells, width, height).gather(window)
        if not any(self._lost):
            return cells, cells
        top, left = (lost // side for lost in self._lost)
        return cells, np.ascontiguousarray(cells[:, top : height // side - top, left : width // side - left])


def _tensor(array: Luma) -> "ov.Tensor":
    import openvino as ov

    return ov.Tensor(array, shared_memory=True)


def _free(shape: "ov.PartialShape", *, takes_cells: bool) -> list[int]:
    """``shape`` with dynamic height and width, or rows and columns of cells."""
    return [1, -1, -1, shape[3].get_length()] if takes_cells else [1, 1, -1, -1]
