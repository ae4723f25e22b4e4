"""Tiling, for planes that do not fit into a device's memory: one engine for a smaller plane runs tile by tile.

Tiles overlap by half the network's receptive field on each side, and only their inner part is kept, so that every
pixel is computed from the same pixels as without tiles. At a border of the picture tiles end there, so that the
network's own padding is only at borders of the picture.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vs_srcomp.backends.base import Engine, Luma, PlaneFormat, Worker, copy_with_edges
from vs_srcomp.errors import error
from vs_srcomp.log import log_once
from vs_srcomp.models.network import Network

SMALLEST_TILE = 256
"""Smallest side in pixels to which tiles shrink when memory runs out: in smaller ones, most would be overlap."""


class Compiler(Protocol):
    """The part of a backend that compiles networks."""

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        """See `BackendConfig`."""


def compile_fitting(backend: Compiler, network: Network, plane: PlaneFormat, tile: int = 0) -> Engine:
    """Compile ``network`` for ``plane``: in tiles if requested, or if the device's memory is too small.

    When memory runs out, here or in a later inference, the tiles are halved until they fit. That is logged once.

    Args:
        backend: Compiles the network, for the plane or for tiles of it.
        network: The network.
        plane: Format of the input planes.
        tile: Largest side of a tile in input pixels, overlap included; 0 runs on whole planes while they fit.

    Raises:
        vs.Error: The network cannot be tiled, the tiles are too small for it, or even small tiles do not fit.
    """
    return _FittingEngine(backend, network, plane, tile)


def compile_tiled(backend: Compiler, network: Network, plane: PlaneFormat, tile: tuple[int, int]) -> Engine:
    """Compile ``network`` for ``plane`` in tiles, with one engine of ``backend`` for all tiles.

    The result is that of the whole plane, to the bit if the backend's result for a pixel does not depend on the size of
    the plane. A plane that fits into one tile is padded to the network's stride here: backends may round differently
    where they pad themselves (OpenVINO then fuses other operators), and the tiles would become visible.

    Args:
        backend: Compiles the network for a tile.
        network: The network.
        plane: Format of the input planes.
        tile: Largest width and height of a tile in input pixels, overlap included. Tiles are smaller if the same
            number of them covers the plane.

    Raises:
        vs.Error: More than one tile is needed, and the network has no bounded receptive field, or a tile would be all
            overlap; also the errors of ``compile``.
    """
    columns, rows = (
        _divide(size, limit, network) for size, limit in zip((plane.width, plane.height), tile, strict=True)
    )
    inner_plane = PlaneFormat(columns.size, rows.size, plane.bits)
    inner = backend.compile(network, inner_plane)
    return inner if inner_plane == plane else _TiledEngine(inner, columns, rows, plane, network.scale)


def is_out_of_memory(exception: BaseException) -> bool:
    """Whether ``exception`` or its cause is the out-of-memory error of any inference library."""
    seen: BaseException | None = exception
    while seen is not None:
        # torch.OutOfMemoryError by its name, as torch may not be there.
        if isinstance(seen, MemoryError) or type(seen).__name__ == "OutOfMemoryError":
            return True
        message = str(seen).lower()
        if any(phrase in message for phrase in _OUT_OF_MEMORY):
            return True
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return False


_OUT_OF_MEMORY = (
    "out of memory",  # CUDA, torch, TensorRT
    "outofmemory",  # TensorRT, E_OUTOFMEMORY of DirectML
    "8007000e",  # the same as a number
    "memoryallocation",  # cudaErrorMemoryAllocation
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED and its like
    "bad_alloc",
    "bad allocation",
    "failed to allocate memory",  # ONNX Runtime
    "cannot allocate memory",
    "not enough memory",
    "insufficient memory",
    "max size of memory object allocation",  # OpenVINO on Intel's graphics
    "cl_out_of_",  # resources or host memory
    "cl_mem_object_allocation_failure",
)


@dataclass(frozen=True)
class _Span:
    """A tile on one axis, and the part of its result that is kept, in input pixels."""

    origin: int
    begin: int
    end: int


@dataclass(frozen=True)
class _Division:
    """The tiles on one axis."""

    size: int
    """Size of every tile."""
    spans: tuple[_Span, ...]


def _divide(size: int, limit: int, network: Network) -> _Division:
    """Divide an axis of ``size`` pixels into the smallest number of equal tiles of at most ``limit`` pixels.

    Tiles begin at multiples of the network's stride, and so are their sizes; the last one ends at the end of the padded
    plane.
    """
    stride = network.stride
    padded = _up(size, stride)
    asked, limit = limit, limit - limit % stride
    if padded <= limit:
        return _Division(padded, (_Span(0, 0, size),))
    margin = _margin(network)
    if limit <= 2 * margin:
        raise error(
            f"tile={asked} is too small for the network, which needs {2 * margin} pixels for the overlap alone",
            f"use tile={2 * margin + stride} at least, better {4 * margin} or more; 0 runs whole planes",
        )
    # Inner tiles lose two margins, the first and the last tile only the one at their inner edge.
    count = _ceil(padded - 2 * margin, limit - 2 * margin)
    tile = _up(_ceil(padded + 2 * margin * (count - 1), count), stride)
    spans = []
    begin = 0
    for index in range(count):
        origin = min(index * (tile - 2 * margin), padded - tile)
        end = size if index == count - 1 else origin + tile - margin
        spans.append(_Span(origin, begin, end))
        begin = end
    return _Division(tile, tuple(spans))


def _margin(network: Network) -> int:
    """Pixels at an inner edge of a tile whose results depend on the edge, rounded up to the network's grid."""
    if network.receptive_field is None:
        raise error(
            "the network cannot be run in tiles: a pixel may depend on the whole picture",
            "leave tile= out, and use a smaller picture or a device with more memory",
        )
    return _up(network.receptive_field // 2, network.stride)


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)


def _up(number: int, multiple: int) -> int:
    return _ceil(number, multiple) * multiple


class _TiledEngine:
    """An engine for one tile, and the places of all tiles."""

    def __init__(self, inner: Engine, columns: _Division, rows: _Division, plane: PlaneFormat, scale: int) -> None:
        self.inner = inner
        self._columns = columns
        self._rows = rows
        self._plane = plane
        self._scale = scale

    def worker(self) -> "_TiledWorker":
        """A new worker."""
        return _TiledWorker(self.inner.worker(), self._columns, self._rows, self._plane, self._scale)


class _TiledWorker:
    """A worker for one tile with its buffers."""

    def __init__(self, inner: Worker, columns: _Division, rows: _Division, plane: PlaneFormat, scale: int) -> None:
        self._inner = inner
        self._columns = columns
        self._rows = rows
        self._scale = scale
        self._source = np.empty((rows.size, columns.size), plane.dtype)
        self._target = np.empty((rows.size * scale, columns.size * scale), plane.dtype)

    def restore(self, source: Luma, target: Luma) -> None:
        """Run the network; see ``Worker``."""
        for row, column in self._tiles():
            self._inner.restore(self._tile_of(source, row, column), self._target)
            kept = self._part(
                row.begin - row.origin, row.end - row.origin, column.begin - column.origin, column.end - column.origin
            )
            target[self._part(row.begin, row.end, column.begin, column.end)] = self._target[kept]

    def _tiles(self) -> Iterator[tuple[_Span, _Span]]:
        return ((row, column) for row in self._rows.spans for column in self._columns.spans)

    def _tile_of(self, source: Luma, row: _Span, column: _Span) -> Luma:
        """The tile's pixels. Beyond the plane, its last row and column are repeated, as for whole planes."""
        tile = source[row.origin : row.origin + self._rows.size, column.origin : column.origin + self._columns.size]
        if tile.shape == self._source.shape:
            return tile
        copy_with_edges(tile, self._source)
        return self._source

    def _part(self, top: int, bottom: int, left: int, right: int) -> tuple[slice, slice]:
        """The output pixels between these edges, which are in input pixels."""
        scale = self._scale
        return slice(top * scale, bottom * scale), slice(left * scale, right * scale)


class _FittingEngine:
    """An engine that makes its tiles smaller when memory runs out."""

    def __init__(self, backend: Compiler, network: Network, plane: PlaneFormat, tile: int) -> None:
        self._backend = backend
        self._network = network
        self._plane = plane
        self._tile = tile
        self._lock = threading.Lock()
        self._inner = self._compile()

    def worker(self) -> "_FittingWorker":
        """A new worker."""
        return _FittingWorker(self)

    @property
    def inner(self) -> Engine:
        """The engine with the largest tiles that have not failed."""
        with self._lock:
            return self._inner

    def shrink(self, failed: Engine, reason: Exception) -> None:
        """Use smaller tiles than ``failed`` has, unless another worker has done so already."""
        with self._lock:
            if self._inner is failed:
                self._halve(reason)
                self._inner = self._compile()

    def _compile(self) -> Engine:
        while True:
            limit = self._tile or _up(max(self._plane.width, self._plane.height), self._network.stride)
            try:
                return compile_tiled(self._backend, self._network, self._plane, (limit, limit))
            except Exception as exception:
                if not is_out_of_memory(exception):
                    raise
                # Keep no reference to the exception: its traceback holds the library's allocations.
                reason = exception.with_traceback(None)
            self._halve(reason)

    def _halve(self, reason: Exception) -> None:
        width, height = self._plane.width, self._plane.height
        field = self._network.receptive_field
        if field is None:
            raise error(
                f"the network does not fit in the device's memory at {width}x{height}, and cannot be run in tiles: "
                "a pixel may depend on the whole picture",
                "use a smaller picture or another backend",
            ) from reason
        side = min(self._tile or max(width, height), max(width, height))
        smallest = max(SMALLEST_TILE, 2 * field)
        if side <= smallest:
            raise error(
                f"the network does not fit in the device's memory, even in tiles of {side} pixels",
                "close other programs that use the device, or use another backend",
            ) from reason
        self._tile = max(side // 2, smallest)
        log_once(
            f"{width}x{height} does not fit in the device's memory: run in tiles of at most "
            f"{self._tile}x{self._tile} pixels"
        )


class _FittingWorker:
    """A worker of the current engine."""

    def __init__(self, engine: _FittingEngine) -> None:
        self._engine = engine
        self._made: tuple[Engine, Worker] | None = None

    def restore(self, source: Luma, target: Luma) -> None:
        """Run the network; see ``Worker``."""
        while True:
            inner = self._engine.inner
            try:
                self._worker_of(inner).restore(source, target)
            except Exception as exception:
                if not is_out_of_memory(exception):
                    raise
                reason = exception.with_traceback(None)
            else:
                return
            self._made = None
            self._engine.shrink(inner, reason)

    def _worker_of(self, inner: Engine) -> Worker:
        if self._made is None or self._made[0] is not inner:
            self._made = None
            self._made = inner, inner.worker()
        return self._made[1]
