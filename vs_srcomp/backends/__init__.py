"""Backends: one class per inference library, all with the protocols of ``base``."""

from vs_srcomp.backends.onnxruntime import OnnxRuntime
from vs_srcomp.backends.openvino import OpenVINO
from vs_srcomp.backends.tensorrt import TensorRT
from vs_srcomp.backends.torch import Torch

__all__ = ["Backend", "OnnxRuntime", "OpenVINO", "TensorRT", "Torch"]


class Backend:
    """The choices for ``upscale(backend=...)``; by default, the best one that is installed and works."""

    OpenVINO = OpenVINO
    OnnxRuntime = OnnxRuntime
    TensorRT = TensorRT
    Torch = Torch
