"""HDR10+ metadata in the form in which streams carry it."""

import ctypes
from functools import cache

from av.sidedata import sidedata
from av.sidedata.sidedata import SideData

from vs_srcomp.log import log_once


def t35_payload(metadata: SideData) -> bytes | None:
    """Serialise FFmpeg's AVDynamicHDRPlus as an ITU-T T.35 payload (SMPTE ST 2094-40), as BestSource does.

    The structure is FFmpeg's affair, and PyAV does not wrap the function that serialises it.
    """
    library = _libavutil()
    if library is None:
        return None
    data = ctypes.c_void_p()
    size = ctypes.c_size_t()
    failed = library.av_dynamic_hdr_plus_to_t35(
        ctypes.c_void_p(metadata.buffer_ptr), ctypes.byref(data), ctypes.byref(size)
    )
    if failed < 0 or data.value is None:
        return None
    try:
        return ctypes.string_at(data.value, size.value)
    finally:
        library.av_free(data)


@cache
def _libavutil() -> ctypes.CDLL | None:
    # Looked up through the extension module, symbols come from the very library that PyAV is linked with. Windows does
    # not look further than the module itself.
    library = ctypes.CDLL(sidedata.__file__)
    if hasattr(library, "av_dynamic_hdr_plus_to_t35"):
        return library
    log_once("FFmpeg's functions for HDR10+ are not found here: its metadata is left out")
    return None
