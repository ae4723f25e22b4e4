"""Loading inference libraries that, on their own, leave files in the user's home and report their use to their makers.

Neither is asked for here: nothing but what users name is written, and nothing is sent.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any, Final

# OpenVINO does without its package for that where it is not installed (openvino.tools.ovc.telemetry_stub).
_TELEMETRY: Final = "openvino_telemetry"

# What converts other frameworks' networks, and takes a third of the time that the package takes to load (2026.2).
_CONVERTER: Final = "openvino.tools.ovc"

# Looked at when ONNX Runtime is loaded (1.32), and only then.
_SWITCH: Final = "ORT_DISABLE_TELEMETRY"

_loading = Lock()


def load_openvino() -> ModuleType:
    """The package ``openvino``, imported as if its telemetry were not installed.

    To be called before any other import of the package. Code that imports the telemetry itself finds it, and the
    converter, which is not loaded along, is loaded when somebody asks for it.

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
    """The attribute that is missing from the package because its converter was not loaded along."""
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}", name=name)
    with _loading, _as_if_missing(_TELEMETRY):
        return import_module(_CONVERTER).convert_model


@contextmanager
def _as_if_missing(name: str) -> Iterator[None]:
    """In this block, to import the module ``name`` is an ImportError; those who have it keep it."""
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


def load_onnxruntime() -> ModuleType:
    """The package ``onnxruntime``, whose telemetry is off, whoever uses it in this process.

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
