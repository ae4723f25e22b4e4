"""Keeping the memory of a long job level."""

import ctypes
from functools import cache

_FRAMES_BETWEEN = 32


def give_back_free_memory(frame: int) -> None:
    """Let the C library give free memory back to the system, at every 32nd ``frame``.

    Before release 2.38, glibc hardly ever uses aligned blocks again once they are free (bug 14581), and the core keeps
    pictures in such blocks: a film would come to fill all memory, although nothing holds its frames any more.
    """
    if frame % _FRAMES_BETWEEN == 0 and (library := _glibc()):
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None
