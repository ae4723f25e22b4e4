"""TensorRT: NVIDIA graphics cards, with networks compiled for one card and one size of planes."""

from vs_srcomp.backends.tensorrt.backend import INSTALL, TensorRT

__all__ = ["INSTALL", "TensorRT"]
