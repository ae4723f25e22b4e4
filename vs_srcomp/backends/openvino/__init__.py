"""OpenVINO: processors, which need nothing but the package, and Intel's graphics and neural processors."""

from vs_srcomp.backends.openvino.backend import BFLOAT16_CODES, OpenVINO, OpenVINOEngine, OpenVINOWorker, remedy

__all__ = ["BFLOAT16_CODES", "OpenVINO", "OpenVINOEngine", "OpenVINOWorker", "remedy"]
