"""An engine that runs its network only on what has changed."""

import math
import threading
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakValueDictionary

import numpy as np
import vapoursynth as vs

from vs_srcomp.backends.base import BackendConfig, DividingBackend, Engine, Luma, PartEngine, PartWorker, PlaneFormat
from vs_srcomp.backends.engine_store import is_kept
from vs_srcomp.errors import first_line
from vs_srcomp.log import log_once
from vs_srcomp.models.network import Network
from vs_srcomp.reuse.memory import Memory, Picture
from vs_srcomp.reuse.windows import BLOCK, Blocks, Kind, Window, Windows, rectangles

_memory = Memory()

type _Key = tuple[Network, BackendConfig, PlaneFormat]

_engines: dict[_Key, "ReusingEngine"] = {}
_alive: WeakValueDictionary[_Key, "ReusingEngine"] = WeakValueDictionary()
"""Those that were dropped, too, as long as a graph or a worker holds them."""
_lock = threading.Lock()

# A plane is computed as a whole if more than this share of its blocks is needed, ...
_MOST_NEEDED = 0.75

# ... or if the windows cost more than this share of the whole plane.
_MOST_COST = 0.9

# A picture whose codes differ by less than this share of white is flat.
_LEAST_CONTRAST = 0.1


def reusing(engine: Engine, network: Network, backend: BackendConfig, plane: PlaneFormat) -> Engine:
    """Wrap ``engine`` so that it computes only what is not in the memory of this process.

    The result is the same to the bit. Repeated planes cost no inference with any backend. Parts of planes are reused
    only where a pixel's result does not depend on the size of the plane: with OpenVINO on the processor, without
    ``tile``, at every precision but bfloat16 without matrix units. Other libraries may choose their kernels by the
    plane's size.

    Args:
        engine: Runs ``network`` on planes of the format ``plane``.
        network: The network.
        backend: The backend that compiled it.
        plane: Format of the input planes.
    """
    key = network, backend, plane
    with _lock:
        found = _alive.get(key)
        if found is None or found.whole is not engine:
            found = ReusingEngine(engine, network, backend, plane, _memory)
        if key not in _engines or _engines[key] is not found:
            _engines[key] = _alive[key] = found
            # Keep each no longer than the store keeps the engine itself, which holds much memory.
            for old in [each for each in _engines if each != key and not is_kept(*each)]:
                del _engines[old]
        return found


def forget() -> None:
    """Forget all planes, as a new process would; networks stay compiled."""
    _memory.forget()


@dataclass
class Counts:
    """Luma pixels that this process has restored."""

    pixels: int = 0
    """In all planes."""
    reused: int = 0
    """Of these, how many were copied from memory."""


counts = Counts()
"""Since the start of the process; changes while frames are made."""


class ReusingEngine:
    """An engine with the memory of its results."""

    def __init__(
        self, whole: Engine, network: Network, backend: BackendConfig, plane: PlaneFormat, memory: Memory
    ) -> None:
        """Keep the results of ``whole`` in ``memory``; see `reusing`."""
        self.whole = whole
        self.network = network
        self.backend = backend
        self.plane = plane
        self.memory = memory
        # Backends may round differently where they pad a plane to the stride themselves.
        is_on_grid = BLOCK % network.stride == 0 and not (plane.width % network.stride or plane.height % network.stride)
        self._has_parts = isinstance(backend, DividingBackend) and is_on_grid and network.receptive_field is not None
        self._part_engine: PartEngine | None = None
        self.fastest = math.inf
        """Seconds that the fastest whole plane has taken."""
        self._tried: set[Kind] = set()
        self._turn = threading.Lock()

    def worker(self) -> "ReusingWorker":
        """A new worker."""
        return ReusingWorker(self)

    @property
    def parts(self) -> PartEngine | None:
        """The engine for parts of planes; None before the first part, and where only whole planes are computed."""
        return self._part_engine if self._has_parts else None

    @cached_property
    def windows(self) -> Windows | None:
        """The geometry of parts of planes; None if only whole planes are computed."""
        if not self._has_parts:
            return None
        from vs_srcomp.models.inspection import margin_of  # Imports onnx.

        margin = margin_of(self.network)
        return None if margin is None else Windows(self.plane.width, self.plane.height, margin)

    def part_engine(self, kinds: Set[Kind], known: Picture) -> PartEngine | None:
        """The engine for windows of these kinds; None if their results differ from those of the whole plane.

        Before the first window of a kind, three windows are compared with the result of ``known``, which may still be
        in progress. A flat picture, such as black at the start, shows nothing: parts have to wait.
        """
        if self._has_parts and not kinds <= self._tried:
            if np.ptp(known.source) < _LEAST_CONTRAST * self.plane.code_scale:
                return None
            # Wait without the lock: the worker that restores it may need it.
            known.done.wait()
            with self._turn:
                for kind in kinds - self._tried:
                    if not (self._has_parts and known.is_good):
                        return None
                    self._has_parts = self._is_same(kind, known)
                    self._tried.add(kind)
        return self.parts

    def _is_same(self, kind: Kind, known: Picture) -> bool:
        assert isinstance(self.backend, DividingBackend)
        assert self.windows is not None
        if self._part_engine is None:
            try:
                self._part_engine = self.backend.compile_parts(self.network, self.plane.bits, self.windows.margin)
            except vs.Error as reason:  # The whole plane has been restored: only sizes that change are refused.
                log_once(f"only whole pictures are taken from memory: {first_line(reason)}")
        if self._part_engine is None:
            return False
        worker, scale = self._part_engine.worker(), self.network.scale
        for window in self.windows.samples(kind):
            restored = restored_part(worker, window, known.source, scale)
            if not np.array_equal(restored, known.target[window.part.scaled(scale)]):
                log_once(
                    f"{type(self.backend).__name__} does not give the same for a part of a picture as for the whole: "
                    "only whole pictures that have not changed are taken from memory"
                )
                return False
        return True


class ReusingWorker:
    """A worker that searches the memory first."""

    def __init__(self, engine: ReusingEngine) -> None:
        self._engine = engine
        self._whole = engine.whole.worker()
        self._part_worker: PartWorker | None = None

    def restore(self, source: Luma, target: Luma) -> None:
        """Run the network on what has changed; see ``Worker``."""
        engine, memory = self._engine, self._engine.memory
        key = engine.network, engine.backend, engine.plane
        found = memory.put(key, source, (target.shape[0], target.shape[1]))
        reused = None
        try:
            if found.same:
                reused = self._copied(found.same, target)
            elif found.picture and found.others:
                reused = self._in_parts(found.picture, found.others, source, target)
            if reused is None:
                self._restore_whole(source, target)
            if found.picture:
                np.copyto(found.picture.target, target)
        except BaseException:
            if found.picture:
                memory.drop(found.picture)
            raise
        else:
            if found.picture:
                memory.finish(found.picture)
        finally:
            memory.release([found.same] if found.same else found.others)
        with _lock:
            counts.pixels += target.size
            counts.reused += (reused or 0) * engine.network.scale**2

    def _restore_whole(self, source: Luma, target: Luma) -> None:
        begin = time.monotonic()
        self._whole.restore(source, target)
        self._engine.fastest = min(self._engine.fastest, time.monotonic() - begin)

    def _copied(self, same: Picture, target: Luma) -> int | None:
        """Copy the result of an equal plane; returns the number of pixels, or None if that plane has no result."""
        same.done.wait()
        if not same.is_good:
            return None
        np.copyto(target, same.target)
        return self._engine.plane.width * self._engine.plane.height

    def _in_parts(self, picture: Picture, others: list[Picture], source: Luma, target: Luma) -> int | None:
        """Compute what none of ``others`` has, and copy the rest from them.

        ``others`` loses those that are of no use; they are released at once.

        Returns:
            The number of pixels that were copied; None if nothing was done.
        """
        windows = self._engine.windows
        if windows is None:
            return None
        windows.measure(self._engine.fastest)
        needed, kept = _divided(picture, others, windows)
        useless = [other for other in others if all(other is not each for each, _ in kept)]
        others[:] = [each for each, _ in kept]
        self._engine.memory.release(useless)
        if needed.mean() > _MOST_NEEDED:
            return None
        parts = windows.cover(needed)
        asked = [windows.window(part) for part in parts]
        if sum(map(windows.cost, asked)) > _MOST_COST * source.size:
            return None
        worker = self._worker_for({window.kind for window in asked}, kept[0][0])
        if worker is None:
            return None
        scale = self._engine.network.scale
        results = [restored_part(worker, window, source, scale) for window in asked]
        # Other workers have had time to finish theirs.
        for other, _ in kept:
            other.done.wait()
            if not other.is_good:
                return None
        (first, _), *more = kept
        np.copyto(target, first.target)
        for other, blocks in more:
            for part in rectangles(blocks, self._engine.plane.width, self._engine.plane.height):
                target[part.scaled(scale)] = other.target[part.scaled(scale)]
        for window, result in zip(asked, results, strict=True):
            target[window.part.scaled(scale)] = result
        return source.size - sum(part.pixels for part in parts)

    def _worker_for(self, kinds: Set[Kind], known: Picture) -> PartWorker | None:
        engine = self._engine.part_engine(kinds, known)
        if engine is None:
            return None
        if self._part_worker is None:
            self._part_worker = engine.worker()
        return self._part_worker


def restored_part(worker: PartWorker, window: Window, source: Luma, scale: int) -> Luma:
    """The result of a network of ``scale`` for the part of ``source`` in ``window``."""
    part = window.part
    restored = np.empty(((part.bottom - part.top) * scale, (part.right - part.left) * scale), source.dtype)
    worker.restore(source[window.pixels.scaled(1)], window.around, restored)
    return restored


def _divided(
    picture: Picture, others: Sequence[Picture], windows: Windows
) -> tuple[Blocks, list[tuple[Picture, Blocks]]]:
    """The blocks of ``picture`` to compute, and the pictures to copy from, each with the blocks to copy."""
    needed = windows.reach(picture.changed(others[0]))
    kept = [(others[0], ~needed)]
    for other in others[1:]:
        still = needed & windows.reach(picture.changed(other))
        if still.sum() < needed.sum():
            kept.append((other, needed & ~still))
            needed = still
    return needed, kept
