"""The default backend: the best one that is installed and works."""

import base64
import threading
from functools import cache
from importlib.util import find_spec

import numpy as np

from vs_srcomp.backends import openvino
from vs_srcomp.backends.base import BackendConfig, PlaneFormat
from vs_srcomp.backends.registry import BACKENDS, Entry
from vs_srcomp.errors import error, first_line
from vs_srcomp.log import log_once
from vs_srcomp.models.network import Network

NOT_INSTALLED = "not installed"


def default_backend() -> BackendConfig:
    """The best backend that is installed and works, found once per process. The core's log names it, with the reason.

    The order is TensorRT, PyTorch on a graphics card, OpenVINO, ONNX Runtime, PyTorch on other devices.

    Raises:
        vs.Error: None works.
    """
    return default_entry().make()


def default_entry() -> Entry:
    """The entry of `default_backend`; raises the same errors."""
    with _lock:
        return _find()


def why_not(entry: Entry) -> str | None:
    """Why a backend cannot be used, in one line; None if it has run a tiny network with the right result."""
    # Loading a library can take seconds: first look for a device.
    reason = entry.has_device()
    if reason is None and not _is_installed(entry.package):
        reason = NOT_INSTALLED
    if reason is not None:
        return reason
    try:
        backend = entry.make()
    except Exception as failure:  # Whatever a library that is half there raises when it is loaded.
        return f"it cannot be loaded: {first_line(failure)}"
    return backend.why_not() or _trial(backend)


_lock = threading.Lock()


@cache
def _find() -> Entry:
    reasons: dict[str, str] = {}
    for entry in BACKENDS:
        reason = why_not(entry)
        if reason is None:
            others = "; ".join(f"{title}: {why}" for title, why in reasons.items())
            log_once(f"{entry.title} runs the networks" + (f" ({others})" if others else ""))
            return entry
        reasons[entry.title] = reason
    listed = "\n".join(f"{title}: {why}" for title, why in reasons.items())
    raise error(f"no backend works here\n{listed}", openvino.remedy())


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _trial(backend: BackendConfig) -> str | None:
    """The error when ``backend`` runs a tiny network; None if the result is right."""
    from vs_srcomp.backends.engine_store import prepare  # That module imports backends.

    codes = np.arange(_TRIAL.width * _TRIAL.height, dtype=np.uint8).reshape(_TRIAL.height, _TRIAL.width)
    restored = np.zeros_like(codes)
    try:
        prepare(_BRIGHTEN, backend, _TRIAL).worker().restore(codes, restored)
    except Exception as reason:  # Libraries raise anything if they cannot use their device.
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
