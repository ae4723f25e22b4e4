"""The backend that is used if none is asked for: the best one that is installed and works."""

import base64
import ctypes
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from vs_srcomp.backends.base import BackendConfig, PlaneFormat, TellingBackend
from vs_srcomp.backends.onnxruntime import INSTALL as ONNXRUNTIME
from vs_srcomp.backends.onnxruntime import OnnxRuntime
from vs_srcomp.backends.openvino import OpenVINO, remedy
from vs_srcomp.backends.tensorrt import INSTALL as TENSORRT
from vs_srcomp.backends.tensorrt import TensorRT
from vs_srcomp.backends.torch import INSTALL as TORCH
from vs_srcomp.backends.torch import Torch
from vs_srcomp.errors import error, first_line
from vs_srcomp.log import say_once
from vs_srcomp.models.network import Network

NOT_INSTALLED = "not installed"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A backend in the order of preference."""

    name: str
    """As users know it."""
    package: str
    """That must be installed."""
    remedy: Callable[[], str]
    """Tells what to do where it is missing."""
    make: Callable[[], TellingBackend]
    """Gives it with its defaults for the device in question."""
    has_device: Callable[[], str | None] = lambda: None
    """Why there is no device for it, from what costs next to nothing to look at; None if there may be one."""

    def why_not(self) -> str | None:
        """Why it cannot be used, in one line; None if it has just run a network and given what it should."""
        # Loading a library can take seconds, which are saved where it would find nothing to run on.
        reason = self.has_device()
        if reason is None and not _is_installed(self.package):
            reason = NOT_INSTALLED
        if reason is not None:
            return reason
        backend = self.make()
        return backend.why_not() or _trial(backend)


def default_backend() -> BackendConfig:
    """The best backend that is installed and works, found once a process; the core's log tells which, and why.

    TensorRT goes before PyTorch on a graphics card, OpenVINO, ONNX Runtime, and PyTorch on other devices.

    Raises:
        vs.Error: None works.
    """
    return default_candidate().make()


def candidates() -> tuple[Candidate, ...]:
    """All backends, best first."""
    on_card = "PyTorch on a graphics card"
    return (
        Candidate(
            name="TensorRT",
            package="tensorrt",
            remedy=lambda: TENSORRT,
            make=TensorRT,
            has_device=_no_nvidia,
        ),
        Candidate(name=on_card, package="torch", remedy=lambda: TORCH, make=_torch_on_card, has_device=_no_card),
        Candidate(name="OpenVINO", package="openvino", remedy=remedy, make=OpenVINO),
        Candidate(name="ONNX Runtime", package="onnxruntime", remedy=lambda: ONNXRUNTIME, make=OnnxRuntime),
        Candidate(name="PyTorch", package="torch", remedy=lambda: TORCH, make=_torch_without_card),
    )


def default_candidate() -> Candidate:
    """That of `default_backend`, with the same errors."""
    with _lock:
        return _find()


_lock = threading.Lock()


@cache
def _find() -> Candidate:
    reasons: dict[str, str] = {}
    for candidate in candidates():
        reason = candidate.why_not()
        if reason is None:
            others = "; ".join(f"{name}: {why}" for name, why in reasons.items())
            say_once(f"{candidate.name} runs the networks" + (f" ({others})" if others else ""))
            return candidate
        reasons[candidate.name] = reason
    listed = "\n".join(f"{name}: {why}" for name, why in reasons.items())
    raise error(f"no backend works here\n{listed}", remedy())


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _no_nvidia() -> str | None:
    """By the driver itself, whose library comes with it and with nothing else."""
    if sys.platform == "darwin":
        return "no NVIDIA card"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (OSError, AttributeError):
        return "no NVIDIA driver"
    return None if works and count.value else "the NVIDIA driver finds no card"


def _no_card() -> str | None:
    """Of NVIDIA, or of AMD, whose driver for computing has a device of this name."""
    reason = _no_nvidia()
    return None if reason is None or Path("/dev/kfd").exists() else f"{reason} and no AMD one"


def _torch_on_card() -> Torch:
    return Torch(device="cuda")


def _torch_without_card() -> Torch:
    import torch

    return Torch(device="mps" if torch.backends.mps.is_available() else "cpu")


def _trial(backend: BackendConfig) -> str | None:
    """What goes wrong when ``backend`` runs a tiny network; None if the result is right."""
    from vs_srcomp.engine_cache import prepare  # It is built on backends.

    codes = np.arange(_TRIAL.width * _TRIAL.height, dtype=np.uint8).reshape(_TRIAL.height, _TRIAL.width)
    restored = np.zeros_like(codes)
    try:
        prepare(_BRIGHTEN, backend, _TRIAL).worker().restore(codes, restored)
    except Exception as reason:  # Whatever a library raises that cannot use its device.
        return f"it does not work: {first_line(reason)}"
    difference = np.abs(restored - np.minimum(codes * 1.5, _TRIAL.peak)).max()
    return None if difference <= 1 else f"it is off by {difference:.0f} codes"


_TRIAL = PlaneFormat(width=16, height=16, bits=8)

# y = x + Conv(x), with one 3x3 kernel of zeros around 0.5. As it is, because making it takes onnx along.
_BRIGHTEN = Network(
    onnx=base64.b64decode(
        "CAg6rAEKIgoBeAoBdxIBciIEQ29udioRCgRwYWRzQAFAAUABQAGgAQcKDgoBeAoBchIBeSIDQWRkEgFnKjMIAQgBCAMIAxABQgF3SiQAAAAAAA"
        "AAAAAAAAAAAAAAAAAAPwAAAAAAAAAAAAAAAAAAAABaHgoBeBIZChcIARITCgMSAU4KAggBCgMSAUgKAxIBV2IeCgF5EhkKFwgBEhMKAxIBTgoC"
        "CAEKAxIBSAoDEgFXQgQKABAN"
    ),
    sha256="5d8d54cacc95d9eaa032fbe91b14641be2fbe4715addea9cecb8abe613a546e2",
    stride=1,
    receptive_field=3,
)
