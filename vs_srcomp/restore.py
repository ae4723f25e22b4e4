"""The frame callback: choose the network for a frame, and run it."""

from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import vapoursynth as vs

from vs_srcomp.backends.base import BackendConfig, Engine, PlaneFormat, StoringBackend, Worker
from vs_srcomp.backends.engine_store import get_engine
from vs_srcomp.errors import error
from vs_srcomp.geometry import MAX_QUANTIZER, QUANTIZERS, Ratio, nearest_quantizer
from vs_srcomp.log import log_once
from vs_srcomp.memory import give_back_free_memory
from vs_srcomp.models import ModelName, Network, depends_on_level, find, load_network, network_at, network_for, scale_of
from vs_srcomp.reuse import reusing

DEFAULT_Q = 25.0
"""The compression level of frames without the property ``SrcompQ``: the best single one for the video of other codecs.

Measured by benchmarks/unknown_levels.py; see docs/quantizer.md.
"""

# Properties that the callback sets. Others never pass through Python.
OWN_PROPS = ["SrcompModel", "SrcompQ", "SrcompRatio"]

# SrcompModel of frames that no network has restored.
NO_MODEL = "lanczos5"


def known_q(props: Mapping[str, Any]) -> float | None:
    """The compression level that the properties of a frame state, 0 to 63; None if they state none."""
    known = props.get("SrcompQ")
    if not isinstance(known, int | float) or isnan(known):
        return None
    return min(max(float(known), 0.0), float(MAX_QUANTIZER))


class Networks:
    """The networks of one graph: one for each compression level, compiled when the first frame needs it.

    Levels are rounded to whole numbers, to limit the number of networks; for backends that take minutes to compile one,
    to `QUANTIZERS`.
    """

    def __init__(
        self,
        model: ModelName,
        look: str,
        ratio: Ratio,
        q: float | None,
        backend: BackendConfig,
        plane: PlaneFormat,
        *,
        reuse: bool = False,
    ) -> None:
        """Find the networks, and compile the one for the level ``q`` or the default level.

        Args:
            model: The user's choice.
            look: Look of a tier's models.
            ratio: Ratio of a tier's models.
            q: The level of every frame; None for each frame's own level.
            backend: The backend.
            plane: Format of the luma planes.
            reuse: Whether to copy unchanged parts from memory.

        Raises:
            vs.Error: There is no such model, or it cannot be used.
        """
        self.ratio = ratio
        self.plane = plane
        self._model = model
        self._look = look
        self._q = q
        self._backend = backend
        self._reuse = reuse
        # A file may be replaced while the clip is played.
        found = find(model, ratio, look)
        self._own = load_network(found) if isinstance(found, Path) else None
        ready = [DEFAULT_Q if q is None else q]
        if q is None and isinstance(backend, StoringBackend):
            # Building an engine may take minutes, so do it before the host requests frames.
            ready += QUANTIZERS
        engines = [self.engine(level) for level in ready]
        # The store drops the oldest of many levels. That of every frame stays.
        self._held = None if q is None else engines[0]

    @property
    def scale(self) -> int:
        """Output size over input size."""
        return self._own.scale if self._own else scale_of(self._model)

    @property
    def workers(self) -> int:
        """Number of parallel frames that keep the backend busy."""
        return self._backend.workers

    def q_of(self, props: Mapping[str, Any]) -> float:
        """The compression level of a frame with ``props``: its own or the default one.

        It does not depend on other frames, and so not on the order of access. It does not flicker, because the
        estimates of `vs_srcomp.source` are constant in each scene.
        """
        if self._q is not None:
            return self._q
        known = known_q(props)
        if known is not None:
            return known
        if self._has_levels:
            log_once(
                f"the compression level of the frames is not known: Q {DEFAULT_Q:g} is taken, unless --q, or q= in "
                "a script, gives another"
            )
        return DEFAULT_Q

    @cached_property
    def _has_levels(self) -> bool:
        return depends_on_level(self._own or self._model)

    def name(self, q: float) -> str:
        """The value of ``SrcompModel`` for frames of the level ``q``."""
        name, _ = self._for(q)
        return name

    def engine(self, q: float) -> Engine:
        """The engine for frames of the level ``q``."""
        _, network = self._for(q)
        engine = get_engine(network, self._backend, self.plane)
        return reusing(engine, network, self._backend, self.plane) if self._reuse else engine

    def _for(self, q: float) -> tuple[str, Network]:
        level = nearest_quantizer(q) if isinstance(self._backend, StoringBackend) else round(q)
        if self._own:
            return Path(self._model).name, network_at(self._own, float(level))
        return network_for(self._model, self.ratio, level, self._look)


def refuse_interlaced(n: int, frame: vs.VideoFrame) -> None:
    """Raise an error if ``frame``, of number ``n``, is interlaced: networks learned from progressive pictures."""
    if frame.props.get("_FieldBased", vs.FIELD_PROGRESSIVE):
        raise error(
            f"frame {n} is interlaced",
            "deinterlace it first, with --deinterlace where the output is a video, or in a script with bwdif; a "
            "progressive one needs _FieldBased=0",
        )


# Around a cut, frames of two levels alternate. A worker keeps its engine alive, so few are kept.
_WORKERS = 2


class FrameRestorer:
    """The callback of one node of the pool, with its own inference requests."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._workers: OrderedDict[Engine, Worker] = OrderedDict()

    def __call__(self, n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        """The restored luma plane of frame ``n``, with only the properties ``OWN_PROPS``."""
        refuse_interlaced(n, f)
        q = self._networks.q_of(f.props)
        scale = self._networks.scale
        out = vs.core.create_video_frame(f.format, f.width * scale, f.height * scale)
        self._worker(self._networks.engine(q)).restore(np.asarray(f[0]), np.asarray(out[0]))
        out.props["SrcompModel"] = self._networks.name(q)
        out.props["SrcompQ"] = q
        out.props["SrcompRatio"] = self._networks.ratio.name
        give_back_free_memory()
        return out

    def _worker(self, engine: Engine) -> Worker:
        if engine not in self._workers:
            self._workers[engine] = engine.worker()
            if len(self._workers) > _WORKERS:
                self._workers.popitem(last=False)
        self._workers.move_to_end(engine)
        return self._workers[engine]
