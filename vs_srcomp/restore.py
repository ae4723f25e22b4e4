"""The frame callback: which network a frame needs, and running it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import vapoursynth as vs

from vs_srcomp.backends.base import BackendConfig, Engine, PlaneFormat, StoringBackend, Worker
from vs_srcomp.engine_cache import get_engine
from vs_srcomp.errors import error
from vs_srcomp.geometry import QUANTIZERS, Ratio, nearest_quantizer
from vs_srcomp.log import say_once
from vs_srcomp.memory import give_back_free_memory
from vs_srcomp.models import Network, find_model, load_network
from vs_srcomp.reuse import reusing

DEFAULT_Q = 40.0
"""The compression level of a frame that does not tell its own, where no network is for every level."""

# Those that the callback sets; the rest of a frame's properties never pass through Python.
OWN_PROPS = ["SrcompModel", "SrcompQ", "SrcompRatio"]

# The name in SrcompModel of frames that no network has touched.
NO_MODEL = "lanczos5"


class Networks:
    """The networks of one graph: one a compression level, made ready when the first frame asks for it."""

    def __init__(
        self,
        model: str | os.PathLike[str],
        ratio: Ratio,
        q: float | None,
        backend: BackendConfig,
        small: PlaneFormat,
        large: PlaneFormat,
        *,
        reuse: bool = False,
    ) -> None:
        """Find the networks; that of the level ``q``, or of the default level, is made ready at once.

        Args:
            model: A tier, or the path of an ONNX file that is then used for every level.
            ratio: Whose models to take.
            q: The level of every frame, or None to go by each frame's own.
            backend: What runs them.
            small: The luma planes before they are upscaled, on which doublers run.
            large: The luma planes after Lanczos, on which all other networks run.
            reuse: Whether what has not changed is taken from memory.

        Raises:
            vs.Error: There is no such model, or it cannot be used.
        """
        self.ratio = ratio
        self._q = q
        self._backend = backend
        self._reuse = reuse
        levels = QUANTIZERS if q is None else (nearest_quantizer(q),)
        self._found: dict[int | None, tuple[str, Network | None]] = {
            level: _find_network(model, ratio, level) for level in levels
        }
        if q is None and (generalist := _find_generalist(model, ratio)):
            self._found[None] = generalist
        self.plane = small if self.scale == 2 else large
        # Building one may take minutes, and must not happen while the host writes frames: see backends.quiet.
        ready = self._found if isinstance(backend, StoringBackend) else [DEFAULT_Q if q is None else q]
        for level in ready:
            self.engine(level)

    @property
    def scale(self) -> int:
        """Output size over input size: 2 for a doubler. The same for all levels, as only a file can be a doubler."""
        return max(1 if network is None else network.scale for _, network in self._found.values())

    @property
    def workers(self) -> int:
        """How many frames at a time keep the backend busy."""
        return self._backend.workers

    def q_of(self, props: Mapping[str, Any]) -> float | None:
        """The compression level of a frame with ``props``; None if it is unknown and there is a network for that.

        Of each frame alone, whatever frames came before: the level does not depend on the order of access. It does
        not flicker, because the estimates of `vs_srcomp.source` are constant in each scene.
        """
        if self._q is not None:
            return self._q
        if "SrcompQ" not in props:
            if None in self._found:
                say_once(
                    "frames do not tell how strongly they were compressed: the model for every level is taken; "
                    "say the level with q=, or open AV1 files with vs_srcomp.source"
                )
                return None
            if len(set(self._found.values())) > 1:
                say_once(
                    f"frames do not tell how strongly they were compressed: Q {DEFAULT_Q:.0f} is taken; "
                    "say it with q=, or open AV1 files with vs_srcomp.source"
                )
            return DEFAULT_Q
        return float(props["SrcompQ"])

    def name(self, q: float | None) -> str:
        """What ``SrcompModel`` says of frames of the level ``q``."""
        name, _ = self._for(q)
        return name

    def engine(self, q: float | None) -> Engine | None:
        """What restores frames of the level ``q``; None where there is no network for it."""
        _, network = self._for(q)
        if network is None:
            return None
        engine = get_engine(network, self._backend, self.plane)
        return reusing(engine, network, self._backend, self.plane) if self._reuse else engine

    def _for(self, q: float | None) -> tuple[str, Network | None]:
        return self._found[None if q is None else nearest_quantizer(q)]


def _find_network(model: str | os.PathLike[str], ratio: Ratio, level: int) -> tuple[str, Network | None]:
    """Name and network for one compression level, which may be missing."""
    path = Path(model)
    if _is_file(model):
        return path.name, load_network(path)
    found = find_model(str(model), ratio, level)
    if found is None:
        say_once(f"there is no {model} model for {ratio.name} at Q {level}: Lanczos alone")
        return NO_MODEL, None
    return found.name, load_network(found)


def _find_generalist(model: str | os.PathLike[str], ratio: Ratio) -> tuple[str, Network] | None:
    """Name and network for frames whose compression level is unknown."""
    found = None if _is_file(model) else find_model(str(model), ratio, None)
    return (found.name, load_network(found)) if found else None


def _is_file(model: str | os.PathLike[str]) -> bool:
    return isinstance(model, os.PathLike) or model.endswith(".onnx")


class FrameRestorer:
    """The callback of one node of the pool, with inference requests that no other node uses."""

    def __init__(self, networks: Networks) -> None:
        """Restore with ``networks``, which all nodes of the pool share."""
        self._networks = networks
        self._workers: dict[Engine, Worker] = {}

    def __call__(self, n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        """The restored luma plane of frame ``n``, whose only properties are those of ``OWN_PROPS``."""
        if f.props.get("_FieldBased", 0):
            raise error(f"frame {n} is interlaced", "deinterlace first, or set _FieldBased to 0 if it is progressive")
        q = self._networks.q_of(f.props)
        engine = self._networks.engine(q)
        if engine is None:
            out = f.copy()
        else:
            scale = self._networks.scale
            out = vs.core.create_video_frame(f.format, f.width * scale, f.height * scale)
            self._worker(engine).restore(np.asarray(f[0]), np.asarray(out[0]))
        out.props["SrcompModel"] = self._networks.name(q)
        if q is not None:
            out.props["SrcompQ"] = q
        out.props["SrcompRatio"] = self._networks.ratio.name
        give_back_free_memory()
        return out

    def _worker(self, engine: Engine) -> Worker:
        if engine not in self._workers:
            self._workers[engine] = engine.worker()
        return self._workers[engine]
