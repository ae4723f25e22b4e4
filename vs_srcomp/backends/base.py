"""The protocols of backends: what the graph needs of an inference library, and what only some of them have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vs_srcomp.errors import error, first_line
from vs_srcomp.models.network import Network

type Luma = NDArray[np.unsignedinteger[Any]]
"""A plane of integer code values, (height, width), uint8 or uint16; rows may be padded."""


CODES = "srcomp.codes"
"""The name of the input of graphs of integers (see ``integer_graph``)."""
RESTORED = "srcomp.restored"
"""The name of their output."""

FLOAT_BITS = 16
"""Of the integer codes that float luma is converted to and from."""


@dataclass(frozen=True)
class PlaneFormat:
    """The luma planes that an engine takes; those that it gives are ``Network.scale`` times as large."""

    width: int
    """In pixels."""
    height: int
    """In pixels."""
    bits: int
    """Of a code value, 8 to 16."""

    @classmethod
    def of(cls, clip: vs.VideoNode) -> Self:
        """Of the luma planes of ``clip``; float luma is converted to codes of 16 bits."""
        is_integer = clip.format.sample_type == vs.INTEGER
        return cls(clip.width, clip.height, clip.format.bits_per_sample if is_integer else FLOAT_BITS)

    @property
    def dtype(self) -> type[np.uint8 | np.uint16]:
        """Of the arrays that hold such a plane."""
        return np.uint8 if self.bits == 8 else np.uint16

    @property
    def peak(self) -> int:
        """The largest code value."""
        return (1 << self.bits) - 1

    @property
    def code_scale(self) -> float:
        """The code value that the network sees as 1.0: 255 in 8 bits and the same luma in more, not the peak."""
        return 255.0 * (1 << (self.bits - 8))


class Worker(Protocol):
    """One inference at a time, with buffers of its own. Not to be shared between threads at the same moment."""

    def restore(self, source: Luma, target: Luma) -> None:
        """Run the network on the plane ``source`` and write the result, clamped and rounded, to ``target``."""


class Engine(Protocol):
    """A network made ready for one format of planes; safe to share."""

    def worker(self) -> Worker:
        """A new worker."""


@runtime_checkable
class WrappingEngine(Engine, Protocol):
    """An engine that runs another one, such as tile by tile."""

    @property
    def inner(self) -> Engine:
        """That engine."""


@runtime_checkable
class TypedEngine(Engine, Protocol):
    """An engine that reports in which types its layers run."""

    @property
    def meant(self) -> Mapping[str, int]:
        """Multiply-accumulates by the type that was asked for, such as ``"int8"``."""

    def run(self) -> Mapping[str, int]:
        """Multiply-accumulates by the type that the library uses; empty if it does not report it."""


def unwrapped(engine: Engine) -> Engine:
    """The library's own engine in ``engine``."""
    while isinstance(engine, WrappingEngine):
        engine = engine.inner
    return engine


class BackendConfig(Protocol):
    """A hashable description of how to run networks: the frozen dataclasses that users pass as ``backend=``."""

    @property
    def workers(self) -> int:
        """How many workers keep this backend busy."""

    @property
    def tile(self) -> int:
        """For the caller of ``compile``: the largest side in pixels of tiles to run planes in, 0 for whole planes."""

    def why_not(self) -> str | None:
        """Why this backend cannot run here, in one line; None if its library and device are there. Compiles nothing."""

    def identity(self) -> Mapping[str, str]:
        """What the result depends on besides network, planes and settings: versions, device, resolved precision.

        Raises:
            vs.Error: The library is missing, or has no such device.
        """

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        """Make ``network`` ready for planes of one format.

        Raises:
            vs.Error: The library is missing, or cannot run the network.
        """


@runtime_checkable
class ThreadedBackend(BackendConfig, Protocol):
    """A backend that divides the processor's cores among its threads; the result does not depend on their number."""

    @property
    def threads(self) -> int:
        """Of all streams together; 0 for one on each core."""

    @property
    def streams(self) -> int:
        """Planes in inference at the same time; 0 for what does most of them in a second."""

    def with_threads(self, threads: int) -> BackendConfig:
        """The same backend with that many threads."""

    def with_streams(self, streams: int) -> BackendConfig:
        """The same backend with that many streams: with one, all threads work on a plane together."""


@runtime_checkable
class StoringBackend(BackendConfig, Protocol):
    """A backend whose compiled networks are worth keeping on disk. ``compile`` is ``load`` after ``build``."""

    def build(self, network: Network, plane: PlaneFormat) -> bytes:
        """Compile ``network`` to bytes that ``load`` takes; errors as of ``compile``."""

    def load(self, built: bytes, plane: PlaneFormat) -> Engine:
        """Make ready what ``build`` returned.

        Raises:
            Exception: It cannot be loaded here, whatever the library raises; the caller builds it again.
        """


class Around(NamedTuple):
    """Pixels that a window of a plane has around the part that is asked for: 0 at a border of the plane, else as many
    as the result may depend on, or more."""

    left: int
    top: int
    right: int
    bottom: int


class PartWorker(Protocol):
    """As `Worker`, for parts of planes, of another size each time."""

    def restore(self, window: Luma, around: Around, target: Luma) -> None:
        """Run the network on ``window``, and write the result for the part inside ``around`` to ``target``.

        Edges of window and part lie on the network's grid. What is missing in ``around`` is a border of the plane, at
        which the network's own padding counts.
        """


class PartEngine(Protocol):
    """A network made ready for parts of planes; safe to share."""

    def worker(self) -> PartWorker:
        """A new worker."""


@runtime_checkable
class DividingBackend(BackendConfig, Protocol):
    """A backend whose result for a pixel is the same to the bit, whatever the size of the plane that holds it."""

    def compile_parts(self, network: Network, bits: int, margin: int) -> PartEngine | None:
        """Make ``network`` ready for parts of planes.

        Args:
            network: What to run.
            bits: Of code values.
            margin: Pixels around a part on which its result may depend.

        Returns:
            None where results may depend on the size.

        Raises:
            vs.Error: The library cannot run the network so.
        """


_MOST = {"threads": 1024, "streams": 256}


def check_counts(**counts: int) -> None:
    """Refuse numbers, by the name of their setting, that no device could use.

    Raises:
        vs.Error: One is not a whole number, negative, or of more threads or frames than the largest computers have use
            for.
    """
    for name, count in counts.items():
        if not isinstance(count, int):
            raise error(f"{name}={count!r} is not a whole number", f"give a number, for example {name}=2")
        if count < 0:
            raise error(f"{name}={count}: it cannot be negative", "use 0 for the default")
        if count > _MOST.get(name, count):
            raise error(f"{name}={count} is too many", f"use up to {_MOST[name]}, or 0 for the default")


def padding(network: Network, plane: PlaneFormat) -> tuple[int, int]:
    """Rows and columns to add below and right of ``plane``, so that the stride of ``network`` divides its size."""
    return -plane.height % network.stride, -plane.width % network.stride


def copy_with_edges(plane: Luma, padded: Luma) -> None:
    """Copy ``plane`` to the top left of ``padded``, and its last row and column to the rest."""
    height, width = plane.shape
    padded[:height, :width] = plane
    padded[:height, width:] = plane[:, -1:]
    padded[height:] = padded[height - 1]


def missing(library: str, reason: ImportError, command: str) -> vs.Error:
    """An error for a ``library`` that cannot be loaded; ``command`` installs it."""
    return error(f"{library} cannot be loaded: {first_line(reason)}", command)
