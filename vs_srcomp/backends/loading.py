"""Import of inference libraries, without their telemetry, which writes to the user's home and sends data."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any, Final

# OpenVINO uses a stub if its telemetry package is not installed (openvino.tools.ovc.telemetry_stub).
_TELEMETRY: Final = "openvino_telemetry"

# The converter for other frameworks' networks takes a third of the package's import time (2026.2).
_CONVERTER: Final = "openvino.tools.ovc"

# ONNX Runtime reads it once, when it is imported (1.32).
_SWITCH: Final = "ORT_DISABLE_TELEMETRY"

_loading = Lock()


def missing_package(*packages: str) -> str | None:
    """Why one of ``packages`` cannot be imported, in one line; None if all can."""
    for package in packages:
        try:
            import_module(package)
        except ModuleNotFoundError:
            return f"{package} is not installed"
        except (ImportError, OSError) as reason:
            return f"{package} cannot be loaded: {reason}"
    return None


def load_openvino() -> ModuleType:
    """The package ``openvino``, imported as if its telemetry were not installed.

    Call this before any other import of the package. Other code can still import the telemetry, and the converter is
    imported on demand.

    Raises:
        ImportError: OpenVINO is not installed, or cannot be loaded.
    """
    with _loading:
        if "openvino" in sys.modules:
            return import_module("openvino")
        with _as_if_missing(_TELEMETRY), _as_if_missing(_CONVERTER):
            package = import_module("openvino")
        package.__getattr__ = _converter  # type: ignore[method-assign]  # PEP 562
        return package


def _converter(name: str) -> Any:
    """An attribute of the package that comes from its converter, which is imported now."""
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}", name=name)
    with _loading, _as_if_missing(_TELEMETRY):
        return import_module(_CONVERTER).convert_model


@contextmanager
def _as_if_missing(name: str) -> Iterator[None]:
    """In this block, importing the module ``name`` raises ImportError. Existing references stay valid."""
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


def load_onnxruntime() -> ModuleType:
    """The package ``onnxruntime``, with its telemetry off in the whole process.

    Raises:
        ImportError: ONNX Runtime is not installed, or cannot be loaded.
    """
    with _loading:
        before = os.environ.get(_SWITCH)
        os.environ[_SWITCH] = "1"
        try:
            return import_module("onnxruntime")
        finally:
            if before is None:
                del os.environ[_SWITCH]
            else:
                os.environ[_SWITCH] = before
