"""A network that is run only on what has changed since it was run last."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vs_srcomp.backends import OnnxRuntime, OpenVINO, Torch
from vs_srcomp.backends.base import BackendConfig, Engine, Luma, PlaneFormat, Worker
from vs_srcomp.log import say_once
from vs_srcomp.models.network import Network
from vs_srcomp.reuse.memory import Memory, Picture
from vs_srcomp.reuse.sizes import MOST_SIZES, Fitted, Sizes
from vs_srcomp.reuse.windows import BLOCK, Blocks, Rectangle, Windows, rectangles

MOST_ENGINES = 16
"""As many as `vs_srcomp.engine_cache` keeps."""

_memory = Memory()
_engines: OrderedDict[tuple[Network, BackendConfig, PlaneFormat], "ReusingEngine"] = OrderedDict()
_lock = threading.Lock()

# Of the pieces of a plane that are looked at first: below this, hardly any neighbourhood is as it was.
_LEAST_ALIKE = 0.15

# What one more picture must have of them that no other has.
_LEAST_MORE = 0.02

# Pictures that are compared with a plane as a whole.
_MOST_COMPARED = 4

# Of a plane: where more is to be computed, windows cost more than the whole.
_MOST_NEEDED = 0.8


def reusing(engine: Engine, network: Network, backend: BackendConfig, plane: PlaneFormat) -> Engine:
    """``engine``, which is asked only for what the memory of this process does not have.

    What it gives is the same to the bit. Planes that have been seen cost no inference with any backend. Parts of planes
    are taken from memory where a pixel's result is known to be the same whatever the size of the plane that is run:
    with OpenVINO, ONNX Runtime and PyTorch on the processor, at every precision. Libraries on graphics cards choose
    their kernels by the plane's size.

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
        _engines.move_to_end(key)
        while len(_engines) > MOST_ENGINES:
            _engines.popitem(last=False)
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
        self._lock = threading.Lock()
        self._parts: Parts | None = None
        self._is_whole_only = not _may_be_divided(network, backend, plane)

    def worker(self) -> "ReusingWorker":
        """A new worker."""
        return ReusingWorker(self)

    def parts(self) -> "Parts | None":
        """What is needed to compute parts of planes; None if that may change the result."""
        if self._is_whole_only:
            return None
        with self._lock:
            if self._parts is None:
                self._parts = self._found_parts()
                self._is_whole_only = self._parts is None
            return self._parts

    def took(self, seconds: float) -> None:
        """Learn from the time that a whole plane took."""
        if self._parts:
            self._parts.sizes.took(seconds)

    def give_up_parts(self) -> None:
        """Compute nothing but whole planes from now on."""
        self._is_whole_only = True
        say_once(
            f"{type(self.backend).__name__} does not give the same for a part of a picture as for the whole: only "
            "whole pictures that have not changed are taken from memory"
        )

    def _found_parts(self) -> "Parts | None":
        from vs_srcomp.models.inspection import margin_of  # Takes onnx along.

        margin = margin_of(self.network)
        if margin is None:
            return None
        windows = Windows(self.plane.width, self.plane.height, margin)

        def make(width: int, height: int) -> Engine:
            return self.backend.compile(self.network, PlaneFormat(width, height, self.plane.bits))

        return Parts(windows, Sizes(self.plane.width, self.plane.height, windows, make))


@dataclass(frozen=True)
class Parts:
    """How planes are divided."""

    windows: Windows
    sizes: Sizes


def _may_be_divided(network: Network, backend: BackendConfig, plane: PlaneFormat) -> bool:
    """Whether a part of a plane can be computed alone, with the same result to the bit."""
    match backend:
        case OpenVINO():
            is_same = backend.device == "CPU" and not backend.tile
        case OnnxRuntime():
            is_same = backend.runs_on_processor and not backend.tile
        case Torch():
            is_same = backend.runs_on_processor and not backend.tile
        case _:
            is_same = False
    # Backends may round differently where they pad a plane up to the stride themselves.
    is_on_grid = BLOCK % network.stride == 0 and not (plane.width % network.stride or plane.height % network.stride)
    return is_same and is_on_grid and network.receptive_field is not None


class ReusingWorker:
    """A worker that looks into the memory first."""

    def __init__(self, engine: ReusingEngine) -> None:
        """Work for ``engine``, with inference requests of its own."""
        self._engine = engine
        self._whole = engine.whole.worker()
        # Of windows, with what they write to.
        self._workers: OrderedDict[Engine, tuple[Worker, Luma]] = OrderedDict()

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
                self._run_whole(source, target)
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

    def _run_whole(self, source: Luma, target: Luma) -> None:
        start = time.perf_counter()
        self._whole.restore(source, target)
        self._engine.took(time.perf_counter() - start)

    def _in_parts(self, picture: Picture, others: Sequence[Picture], source: Luma, target: Luma) -> int | None:
        """Compute what is in none of ``others``; how many pixels were taken from them, or None if nothing was done."""
        alike = _most_alike(picture, others)
        if not alike or not (parts := self._engine.parts()):
            return None
        needed, kept = _divided(picture, alike, parts.windows)
        if needed.mean() > _MOST_NEEDED:
            return None
        fitted = parts.sizes.fit(parts.windows.cover(needed))
        if due := parts.sizes.compile_due():
            self._run_whole(source, target)
            self._try_out(*due, source, target, parts)
            return 0
        if fitted is None:
            return None
        # Until then, what is in the works elsewhere may be done.
        results = [self._result(each, source) for each in fitted]
        for other, _ in kept:
            other.done.wait()
            if not other.is_good:
                return None
        scale, plane = self._engine.network.scale, self._engine.plane
        (first, _), *more = kept
        np.copyto(target, first.target)
        for other, blocks in more:
            for part in rectangles(blocks, plane.width, plane.height):
                target[part.scaled(scale)] = other.target[part.scaled(scale)]
        for each, result in zip(fitted, results, strict=True):
            target[each.part.scaled(scale)] = result
        return plane.width * plane.height - sum(each.part.pixels for each in fitted)

    def _try_out(self, size: tuple[int, int], engine: Engine, source: Luma, whole: Luma, parts: "Parts") -> None:
        """Use windows of a new size from now on, if they give what the ``whole`` plane of this ``source`` is."""
        start = time.perf_counter()
        for part in parts.windows.samples(size):
            given = self._result(Fitted(part, parts.windows.window(part, size), engine), source)
            if not np.array_equal(given, whole[part.scaled(self._engine.network.scale)]):
                self._engine.give_up_parts()
                return
        parts.sizes.add(size, engine, time.perf_counter() - start)

    def _result(self, each: Fitted, source: Luma) -> Luma:
        """What the network gives for a part; of windows that are smaller than the plane."""
        scale = self._engine.network.scale
        worker, given = self._worker(each, source.dtype)
        worker.restore(source[each.window.scaled(1)], given)
        part, window = each.part, each.window
        inner = Rectangle(
            part.left - window.left, part.top - window.top, part.right - window.left, part.bottom - window.top
        )
        return given[inner.scaled(scale)].copy()

    def _worker(self, each: Fitted, dtype: np.dtype[Any]) -> tuple[Worker, Luma]:
        if each.engine not in self._workers:
            scale, window = self._engine.network.scale, each.window
            height, width = (window.bottom - window.top) * scale, (window.right - window.left) * scale
            self._workers[each.engine] = each.engine.worker(), np.empty((height, width), dtype)
            if len(self._workers) > MOST_SIZES:
                self._workers.popitem(last=False)
        self._workers.move_to_end(each.engine)
        return self._workers[each.engine]


def _most_alike(picture: Picture, others: Sequence[Picture]) -> list[Picture]:
    """Those that together have most of ``picture``, as far as samples tell; the one that has most comes first."""
    equal = np.array([other.samples == picture.samples for other in others])
    missing = np.ones(equal.shape[1], bool)
    chosen: list[Picture] = []
    while len(chosen) < _MOST_COMPARED:
        gains = (equal & missing).mean(1)
        best = int(gains.argmax())
        if gains[best] < (_LEAST_MORE if chosen else _LEAST_ALIKE):
            break
        chosen.append(others[best])
        missing &= ~equal[best]
    return chosen


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
