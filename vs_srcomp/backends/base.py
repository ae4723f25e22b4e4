"""The protocols of backends: what every inference library must offer, and what only some do."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vs_srcomp.errors import error, first_line
from vs_srcomp.models.network import Network

type Luma = NDArray[np.unsignedinteger[Any]]
"""A plane of integer code values, (height, width), uint8 or uint16; rows may be padded."""


CODES = "srcomp.codes"
"""Name of the input of integer graphs (see ``integer_graph``)."""
RESTORED = "srcomp.restored"
"""Name of their output."""

FLOAT_BITS = 16
"""Bits of the integer codes that float luma is converted to and from."""

MOST_BITS_IN_FLOAT16 = 10
"""Bits of planes for which float16, with eleven significant bits, is enough for the whole picture."""


@dataclass(frozen=True)
class PlaneFormat:
    """Format of an engine's input planes; output planes are ``Network.scale`` times as large."""

    width: int
    """In pixels."""
    height: int
    """In pixels."""
    bits: int
    """Bits of a code value, 8 to 16."""

    @classmethod
    def of(cls, clip: vs.VideoNode) -> Self:
        """The format of ``clip``'s luma; float luma is converted to codes of 16 bits."""
        is_integer = clip.format.sample_type == vs.INTEGER
        return cls(clip.width, clip.height, clip.format.bits_per_sample if is_integer else FLOAT_BITS)

    @property
    def dtype(self) -> type[np.uint8 | np.uint16]:
        """Type of the arrays that hold such a plane."""
        return np.uint8 if self.bits == 8 else np.uint16

    @property
    def peak(self) -> int:
        """The largest code value."""
        return (1 << self.bits) - 1

    @property
    def code_scale(self) -> float:
        """The code value that is 1.0 for the network: 255 in 8 bits, and the same luma, not the peak, in more bits."""
        return 255.0 * (1 << (self.bits - 8))

    def padding(self, stride: int) -> tuple[int, int]:
        """Rows and columns to add at the bottom and right for a network of ``stride``."""
        return -self.height % stride, -self.width % stride


class Worker(Protocol):
    """Runs one inference at a time in its own buffers. Only one thread may use it at a time."""

    def restore(self, source: Luma, target: Luma) -> None:
        """Run the network on the plane ``source`` and write the result, clamped and rounded, to ``target``."""


class Engine(Protocol):
    """A network that is compiled for one format of planes. Thread-safe."""

    def worker(self) -> Worker:
        """A new worker."""


@runtime_checkable
class WrappingEngine(Engine, Protocol):
    """An engine that wraps another one, for example to run it tile by tile."""

    @property
    def inner(self) -> Engine:
        """The wrapped engine."""


@runtime_checkable
class TypedEngine(Engine, Protocol):
    """An engine that reports the types that its layers run in."""

    @property
    def meant(self) -> Mapping[str, int]:
        """Multiply-accumulates by requested type, such as ``"int8"``."""

    def run(self) -> Mapping[str, int]:
        """Multiply-accumulates by the type that the library really uses; empty if it does not report it."""


def unwrapped(engine: Engine) -> Engine:
    """The innermost engine in ``engine``."""
    while isinstance(engine, WrappingEngine):
        engine = engine.inner
    return engine


@runtime_checkable
class BackendConfig(Protocol):
    """How to run networks: the frozen, hashable dataclasses that users pass as ``backend=``."""

    @property
    def workers(self) -> int:
        """Number of workers that keep this backend busy."""

    @property
    def tile(self) -> int:
        """Largest side of tiles in pixels, 0 for whole planes. The caller of ``compile`` makes the tiles."""

    def why_not(self) -> str | None:
        """Why this backend cannot run here, in one line; None if library and device are present. Compiles nothing."""

    def identity(self) -> Mapping[str, str]:
        """Further facts that the result depends on: versions, device, resolved precision.

        Raises:
            vs.Error: The library is missing, or has no such device.
        """

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        """Compile ``network`` for planes of one format.

        Raises:
            vs.Error: The library is missing, or cannot run the network.
        """


@runtime_checkable
class ThreadedBackend(BackendConfig, Protocol):
    """A backend with a choice of processor threads, whose number does not change the result."""

    @property
    def threads(self) -> int:
        """Threads of all streams together; 0 for one per core."""

    @property
    def streams(self) -> int:
        """Planes in inference at the same time; 0 for the number with the highest throughput."""

    def with_threads(self, threads: int) -> BackendConfig:
        """A copy with that many threads."""

    def with_streams(self, streams: int) -> BackendConfig:
        """A copy with that many streams. With one, all threads work on the same plane."""


@runtime_checkable
class StoringBackend(BackendConfig, Protocol):
    """A backend whose compiled networks are stored on disk. ``compile`` is ``build``, then ``load``."""

    def build(self, network: Network, plane: PlaneFormat) -> bytes:
        """Compile ``network`` to bytes for ``load``; raises the errors of ``compile``."""

    def load(self, built: bytes, plane: PlaneFormat) -> Engine:
        """Load the result of ``build``.

        Raises:
            Exception: Any exception of the library means that it cannot be loaded here; the caller builds it again.
        """


class Around(NamedTuple):
    """Pixels of a window on each side of the wanted part: 0 at a border of the plane, otherwise at least as many as the
    result depends on."""

    left: int
    top: int
    right: int
    bottom: int


class PartWorker(Protocol):
    """Like `Worker`, for parts of planes of any size."""

    def restore(self, window: Luma, around: Around, target: Luma) -> None:
        """Run the network on ``window``, and write the result for the part inside ``around`` to ``target``.

        Edges of window and part lie on the network's grid. Where ``around`` is 0, the window ends at a border of the
        plane, and the network pads as it does there.
        """


class PartEngine(Protocol):
    """A network that is compiled for parts of planes. Thread-safe."""

    def worker(self) -> PartWorker:
        """A new worker."""


@runtime_checkable
class DividingBackend(BackendConfig, Protocol):
    """A backend whose result for a pixel does not depend, in any bit, on the size of the plane."""

    def compile_parts(self, network: Network, bits: int, margin: int) -> PartEngine | None:
        """Compile ``network`` for parts of planes.

        Args:
            network: The network.
            bits: Bits of code values.
            margin: Pixels around a part on which its result may depend.

        Returns:
            None if results may depend on the size.

        Raises:
            vs.Error: The library cannot run the network in this way.
        """


_MOST = {"threads": 1024, "streams": 256}


CORES_PER_STREAM = 4
"""Beyond about so many cores, another frame gains more than more threads for one."""


def check_counts(**counts: int) -> None:
    """Check numbers by the name of their setting.

    Raises:
        vs.Error: One is not a whole number, is negative, or is more than the largest computers can use.
    """
    for name, count in counts.items():
        if not isinstance(count, Integral) or isinstance(count, bool):
            raise error(f"{name}={count!r} is not a whole number", f"give a number, for example {name}=2")
        if count < 0:
            raise error(f"{name}={count}: it cannot be negative", "use 0 for the default")
        if count > _MOST.get(name, count):
            raise error(f"{name}={count} is too many", f"use up to {_MOST[name]}, or 0 for the default")


def copy_with_edges(plane: Luma, padded: Luma) -> None:
    """Copy ``plane`` to the top left of ``padded``, and repeat its last row and column in the rest."""
    height, width = plane.shape
    padded[:height, :width] = plane
    padded[:height, width:] = plane[:, -1:]
    padded[height:] = padded[height - 1]


def missing(library: str, reason: ImportError, command: str) -> vs.Error:
    """The error for a ``library`` that cannot be loaded; ``command`` installs it."""
    return error(f"{library} cannot be loaded: {first_line(reason)}", command)
