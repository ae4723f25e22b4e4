"""OpenVINO: the processor, which needs nothing but the package, and Intel's graphics and neural processors."""

from vs_srcomp.backends.openvino.backend import OpenVINO, OpenVINOEngine, OpenVINOWorker, remedy

__all__ = ["OpenVINO", "OpenVINOEngine", "OpenVINOWorker", "remedy"]
