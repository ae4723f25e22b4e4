"""ONNX Runtime: whatever its installed build can use, in float32."""

from vs_srcomp.backends.onnxruntime.backend import INSTALL, OnnxRuntime

__all__ = ["INSTALL", "OnnxRuntime"]
