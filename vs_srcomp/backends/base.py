"""What the graph needs of an inference library, and nothing more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vs_srcomp.errors import error, first_line
from vs_srcomp.models.network import Network

type Luma = NDArray[np.unsignedinteger[Any]]
"""A plane of integer code values, (height, width), uint8 or uint16; rows may be padded."""


@dataclass(frozen=True)
class PlaneFormat:
    """The luma planes that an engine takes; those that it gives are ``Network.scale`` times as large."""

    width: int
    """In pixels."""
    height: int
    """In pixels."""
    bits: int
    """Of a code value, 8 to 16."""

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


class BackendConfig(Protocol):
    """A hashable description of how to run networks: the frozen dataclasses that users pass as ``backend=``.

    A field ``tile``, if there is one, is for the caller of ``compile``: it is the largest side in pixels of the tiles
    that planes are to be run in, 0 for whole planes.
    """

    @property
    def workers(self) -> int:
        """How many workers keep this backend busy."""

    def compile(self, network: Network, plane: PlaneFormat) -> Engine:
        """Make ``network`` ready for planes of one format.

        Raises:
            vs.Error: The library is missing, or cannot run the network.
        """


@runtime_checkable
class StoringBackend(BackendConfig, Protocol):
    """A backend whose compiled networks are worth keeping on disk. ``compile`` is ``load`` of what ``build`` gives."""

    def identity(self) -> Mapping[str, str]:
        """What a compiled network depends on besides network and planes: versions, device, driver, precision."""

    def build(self, network: Network, plane: PlaneFormat) -> bytes:
        """Compile ``network`` to bytes that ``load`` takes; errors as of ``compile``."""

    def load(self, built: bytes, plane: PlaneFormat) -> Engine:
        """Make ready what ``build`` gave.

        Raises:
            Exception: It cannot be loaded here, whatever the library raises; the caller builds anew.
        """


@runtime_checkable
class DividingBackend(BackendConfig, Protocol):
    """A backend whose result for a pixel is the same to the bit, whatever the size of the plane that holds it."""

    def compile_parts(self, network: Network, bits: int) -> Engine | None:
        """Make ``network`` ready for parts of planes, of code values of so many ``bits``.

        Returns:
            An engine whose workers take planes of any size that the network's stride divides, another one each time;
            None where results may depend on the size.

        Raises:
            vs.Error: The library cannot run the network so.
        """


@runtime_checkable
class TellingBackend(BackendConfig, Protocol):
    """A backend that tells whether it can run here, before it is given a network: all of this package are."""

    def why_not(self) -> str | None:
        """What is missing, in one line; None if the library can be loaded and has the device. Compiles nothing."""


def padding(network: Network, plane: PlaneFormat) -> tuple[int, int]:
    """Rows and columns to add below and right of ``plane``, so that the stride of ``network`` divides its size."""
    return -plane.height % network.stride, -plane.width % network.stride


def missing(library: str, reason: ImportError, command: str) -> vs.Error:
    """An error that tells by which ``command`` to install ``library``."""
    return error(f"{library} cannot be loaded: {first_line(reason)}", command)
