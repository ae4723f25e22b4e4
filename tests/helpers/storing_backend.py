"""A backend that darkens, can store its engines, and logs its builds."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.helpers.networks import BackendDouble
from vs_srcomp.backends.base import Luma, PlaneFormat
from vs_srcomp.models import Network


@dataclass(frozen=True, kw_only=True)
class Darken(BackendDouble):
    """Halves every code."""

    log: Path
    """File that gets a line for each build."""
    seconds: float = 0
    """Duration of a build."""
    gate: Path | None = None
    """A build waits until this file exists."""
    device: str = "this computer"
    precision: str = "f32"
    tile: int = 0
    layout: str = "1"
    """Layout of its engines; others are refused."""
    memory: int = 1 << 30
    """Largest number of pixels that an engine can be loaded for."""
    workers: int = 1

    def identity(self) -> Mapping[str, str]:
        return {"device": self.device, "precision": self.precision}

    def compile(self, network: Network, plane: PlaneFormat) -> "_Engine":
        return self.load(self.build(network, plane), plane)

    def build(self, network: Network, plane: PlaneFormat) -> bytes:
        with self.log.open("a") as log:
            log.write(f"{plane.width}x{plane.height}\n")
        time.sleep(self.seconds)
        while self.gate is not None and not self.gate.exists():
            time.sleep(0.01)
        return self._head(plane) + bytes(range(256))

    def load(self, built: bytes, plane: PlaneFormat) -> "_Engine":
        if plane.width * plane.height > self.memory:
            raise RuntimeError("CUDA error: out of memory")
        if not built.startswith(self._head(plane)):
            raise ValueError("this is not what I have made")
        return _Engine()

    def _head(self, plane: PlaneFormat) -> bytes:
        return f"{plane.width}x{plane.height} on {self.device}, layout {self.layout}".encode()

    def builds(self) -> list[str]:
        """The sizes of all builds."""
        return self.log.read_text().splitlines() if self.log.exists() else []


class _Engine:
    def worker(self) -> "_Worker":
        return _Worker()


class _Worker:
    def restore(self, source: Luma, target: Luma) -> None:
        np.copyto(target, source // 2)
