"""What runs a network: one class per inference library, all with the protocol of ``base``."""

from vs_srcomp.backends.openvino import OpenVINO

__all__ = ["Backend", "OpenVINO"]


class Backend:
    """The choices for ``upscale(backend=...)``."""

    OpenVINO = OpenVINO
