"""The registry of backends, best first, which the command line, ``doctor`` and the default choice read.

To add one, write its package next to this module and add an entry to `BACKENDS`.
"""

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vs_srcomp.backends.base import BackendConfig
from vs_srcomp.backends.onnxruntime import INSTALL as INSTALL_ONNXRUNTIME
from vs_srcomp.backends.onnxruntime import OnnxRuntime
from vs_srcomp.backends.openvino import OpenVINO
from vs_srcomp.backends.openvino import remedy as remedy_for_openvino
from vs_srcomp.backends.tensorrt import INSTALL as INSTALL_TENSORRT
from vs_srcomp.backends.tensorrt import TensorRT
from vs_srcomp.backends.torch import INSTALL as INSTALL_TORCH
from vs_srcomp.backends.torch import Torch


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A backend, and how it is chosen by default."""

    title: str
    """Name in messages."""
    kind: Callable[..., BackendConfig]
    """The class. Its name in lower case is the backend's name on command lines."""
    package: str
    """Python package that must be installed."""
    remedy: Callable[[], str]
    """What to do if the package is missing."""
    make: Callable[[], BackendConfig]
    """Makes it with its defaults for the entry's device."""
    has_device: Callable[[], str | None] = lambda: None
    """Quick check: why there is no device for it; None if there may be one."""
    required: bool = False
    """Whether it is a dependency of this package, so that it must work; the others are optional."""

    @property
    def name(self) -> str:
        """Name on command lines."""
        return self.kind.__name__.lower()


def no_nvidia_card() -> str | None:
    """Why there is no NVIDIA graphics card: only its driver installs this library."""
    if sys.platform == "darwin":
        return "no NVIDIA card"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (OSError, AttributeError):
        return "no NVIDIA driver"
    return None if works and count.value else "the NVIDIA driver finds no card"


def no_card() -> str | None:
    """Why there is no NVIDIA graphics card and no AMD one: AMD's compute driver has this device."""
    reason = no_nvidia_card()
    return None if reason is None or Path("/dev/kfd").exists() else f"{reason} and no AMD one"


def _torch_on_card() -> Torch:
    return Torch(device="cuda")


def _torch_without_card() -> Torch:
    import torch

    return Torch(device="mps" if torch.backends.mps.is_available() else "cpu")


BACKENDS = (
    Entry(
        title="TensorRT",
        kind=TensorRT,
        package="tensorrt",
        remedy=lambda: INSTALL_TENSORRT,
        make=TensorRT,
        has_device=no_nvidia_card,
    ),
    Entry(
        title="PyTorch on a graphics card",
        kind=Torch,
        package="torch",
        remedy=lambda: INSTALL_TORCH,
        make=_torch_on_card,
        has_device=no_card,
    ),
    Entry(
        title="OpenVINO",
        kind=OpenVINO,
        package="openvino",
        remedy=remedy_for_openvino,
        make=OpenVINO,
        required=True,
    ),
    Entry(
        title="ONNX Runtime",
        kind=OnnxRuntime,
        package="onnxruntime",
        remedy=lambda: INSTALL_ONNXRUNTIME,
        make=OnnxRuntime,
    ),
    Entry(
        title="PyTorch",
        kind=Torch,
        package="torch",
        remedy=lambda: INSTALL_TORCH,
        make=_torch_without_card,
    ),
)
"""In order of preference. PyTorch has two entries: for graphics cards, and for other devices."""
