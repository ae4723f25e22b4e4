"""ONNX Runtime, with any execution provider of the installed build, in float32."""

from vs_srcomp.backends.onnxruntime.backend import INSTALL, OnnxRuntime

__all__ = ["INSTALL", "OnnxRuntime"]
