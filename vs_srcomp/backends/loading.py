"""Loading inference libraries that, on their own, leave files in the user's home and report their use to their makers.

Neither is asked for here: nothing but what users name is written, and nothing is sent.
"""

import os
import sys
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Final

# OpenVINO does without its package for that where it is not installed (openvino.tools.ovc.telemetry_stub).
_TELEMETRY: Final = "openvino_telemetry"

# Looked at when ONNX Runtime is loaded (1.32), and only then.
_SWITCH: Final = "ORT_DISABLE_TELEMETRY"

_loading = Lock()


def load_openvino() -> ModuleType:
    """The package ``openvino``, imported as if its telemetry were not installed.

    To be called before any other import of the package. Code that imports the telemetry itself finds it.

    Raises:
        ImportError: OpenVINO is not installed, or cannot be loaded.
    """
    with _loading:
        if _TELEMETRY in sys.modules:
            return import_module("openvino")
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # to import it is an ImportError
        try:
            return import_module("openvino")
        finally:
            del sys.modules[_TELEMETRY]


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
