"""What runs a network: one class per inference library, all with the protocol of ``base``."""

from vs_srcomp.backends.onnxruntime import OnnxRuntime
from vs_srcomp.backends.openvino import OpenVINO
from vs_srcomp.backends.tensorrt import TensorRT
from vs_srcomp.backends.torch import Torch

__all__ = ["Backend", "OnnxRuntime", "OpenVINO", "TensorRT", "Torch"]


class Backend:
    """The choices for ``upscale(backend=...)``; without one, the best that is installed and works is taken."""

    OpenVINO = OpenVINO
    OnnxRuntime = OnnxRuntime
    TensorRT = TensorRT
    Torch = Torch
