"""A network that is run only on what has changed since it was run last."""

import threading
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vs_srcomp.backends.base import BackendConfig, DividingBackend, Engine, Luma, PartEngine, PartWorker, PlaneFormat
from vs_srcomp.backends.engine_store import is_kept
from vs_srcomp.log import log_once
from vs_srcomp.models.network import Network
from vs_srcomp.reuse.memory import Memory, Picture
from vs_srcomp.reuse.windows import BLOCK, Blocks, Kind, Window, Windows, rectangles

_memory = Memory()
_engines: dict[tuple[Network, BackendConfig, PlaneFormat], "ReusingEngine"] = {}
_lock = threading.Lock()

# Of the blocks of a plane: where more are needed, their windows are nearly the whole.
_MOST_NEEDED = 0.75

# Of what the whole plane costs: where windows cost more, the little that they spare is not worth their number.
_MOST_COST = 0.9


def reusing(engine: Engine, network: Network, backend: BackendConfig, plane: PlaneFormat) -> Engine:
    """``engine``, which is asked only for what the memory of this process does not have.

    What it gives is the same to the bit. Planes that have been seen cost no inference with any backend. Parts of planes
    are taken from memory where a pixel's result is known to be the same whatever the size of the plane that is run:
    with OpenVINO on the processor, at every precision. Other libraries may choose their kernels by the plane's size.

    Args:
        engine: Of ``network`` on planes of the format ``plane``.
        network: What it runs.
        backend: What it was compiled by.
        plane: The planes that it takes.
    """
    key = network, backend, plane
    with _lock:
        found = _engines.get(key)
        if found is None or found.whole is not engine:
            found = _engines[key] = ReusingEngine(engine, network, backend, plane, _memory)
            # As long as the engines themselves are kept, and no longer: they hold much memory.
            for old in [each for each in _engines if each != key and not is_kept(*each)]:
                del _engines[old]
        return found


def forget() -> None:
    """Forget all planes, as a new process would; networks stay compiled."""
    _memory.forget()


@dataclass
class Counts:
    """What this process has had to restore."""

    pixels: int = 0
    """Of all planes."""
    reused: int = 0
    """Of these, those that were taken from memory."""


counts = Counts()
"""Since the process has started; changes while frames are made."""


class ReusingEngine:
    """An engine, and what is known of what it gives."""

    def __init__(
        self, whole: Engine, network: Network, backend: BackendConfig, plane: PlaneFormat, memory: Memory
    ) -> None:
        """Remember what ``whole`` gives in ``memory``; see `reusing`."""
        self.whole = whole
        self.network = network
        self.backend = backend
        self.plane = plane
        self.memory = memory
        # Backends may round differently where they pad a plane up to the stride themselves.
        is_on_grid = BLOCK % network.stride == 0 and not (plane.width % network.stride or plane.height % network.stride)
        self._has_parts = isinstance(backend, DividingBackend) and is_on_grid and network.receptive_field is not None
        self._part_engine: PartEngine | None = None
        self._tried: set[Kind] = set()
        self._turn = threading.Lock()

    def worker(self) -> "ReusingWorker":
        """A new worker."""
        return ReusingWorker(self)

    @property
    def parts(self) -> PartEngine | None:
        """What computes parts of planes; None until there is something to compute, and where only whole planes are."""
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
        """What computes windows of these kinds; None if they do not come out as of the whole plane.

        Before the first window of a kind, two are tried out on ``known``, a picture whose result is there or will be.
        """
        if self._has_parts and not kinds <= self._tried:
            # Whoever works on it may need the turn.
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
            self._part_engine = self.backend.compile_parts(self.network, self.plane.bits, self.windows.margin)
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
    """A worker that looks into the memory first."""

    def __init__(self, engine: ReusingEngine) -> None:
        """Work for ``engine``, with inference requests of its own."""
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
                self._whole.restore(source, target)
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

    def _copied(self, same: Picture, target: Luma) -> int | None:
        """Take all from a picture of the same plane; the number of its pixels, or None if there is no result."""
        same.done.wait()
        if not same.is_good:
            return None
        np.copyto(target, same.target)
        return self._engine.plane.width * self._engine.plane.height

    def _in_parts(self, picture: Picture, others: list[Picture], source: Luma, target: Luma) -> int | None:
        """Compute what is in none of ``others``; how many pixels were taken from them, or None if nothing was done.

        Those of no use are given back to the memory at once, and are no longer among ``others``.
        """
        windows = self._engine.windows
        if windows is None:
            return None
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
        # What is in the works elsewhere may be done by now.
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
    """What a network of ``scale`` gives for the part of ``source`` in ``window``."""
    part = window.part
    restored = np.empty(((part.bottom - part.top) * scale, (part.right - part.left) * scale), source.dtype)
    worker.restore(source[window.pixels.scaled(1)], window.around, restored)
    return restored


def _divided(
    picture: Picture, others: Sequence[Picture], windows: Windows
) -> tuple[Blocks, list[tuple[Picture, Blocks]]]:
    """The blocks of ``picture`` to be computed, and the others, each with the blocks that are to be taken from it."""
    needed = windows.reach(picture.changed(others[0]))
    kept = [(others[0], ~needed)]
    for other in others[1:]:
        still = needed & windows.reach(picture.changed(other))
        if still.sum() < needed.sum():
            kept.append((other, needed & ~still))
            needed = still
    return needed, kept
